"""The baselines and MMPareto, each against one backward pass by hand."""

import pytest
import torch

from medmd.balancing import JointLoss, MMPareto, UniformSum


def by_hand(model, loss):
    model.zero_grad()
    loss.backward()
    return [torch.zeros_like(p) if p.grad is None else p.grad for p in model.parameters() if p.requires_grad]


@pytest.mark.parametrize(
    ("balancer", "total"),
    [
        (JointLoss(), lambda losses: losses.fusion),
        (UniformSum(), lambda losses: losses.fusion + sum(losses.unimodal.values())),
        (
            UniformSum(unimodal_weights={"oct": 0.25}),
            lambda x: x.fusion + 0.25 * x.unimodal["oct"] + x.unimodal["fundus"],
        ),
    ],
)
def test_one_backward_pass(toy, balancer, total):
    model = toy(dropout=0.0)
    expected = by_hand(model, total(model.closure()()))
    log = balancer.backward(model, model.closure())
    for p, gradient in zip([p for p in model.parameters() if p.requires_grad], expected, strict=True):
        torch.testing.assert_close(p.grad, gradient, rtol=1e-12, atol=1e-14)
    assert log["loss"].item() == pytest.approx(total(model.closure()()).item(), rel=1e-12)


def test_unknown_weight(toy):
    with pytest.raises(ValueError, match="unimodal_weights"):
        UniformSum(unimodal_weights={"octa": 1.0}).backward(toy(), toy().closure())


def test_mmpareto_keeps_the_plain_gradient_of_an_absent_modality(toy):
    """Min-norm with a zero vector would stop the encoder."""
    model = toy(dropout=0.0)
    expected = by_hand(model, model.closure(absent=("fundus",))().total({}))
    places = {id(p): place for place, p in enumerate(p for p in model.parameters() if p.requires_grad)}
    log = MMPareto(gamma=1.0).backward(model, model.closure(absent=("fundus",)))
    assert log["cosine_fundus"].item() == 0
    assert log["alpha_fusion_fundus"].item() == 0.5
    for p in model.encoders["fundus"].parameters():
        torch.testing.assert_close(p.grad, expected[places[id(p)]], rtol=1e-9, atol=1e-14)


def test_a_parameter_of_two_encoders_counts_once(toy):
    model = toy(dropout=0.0)
    model.encoder_parameters = lambda: {name: list(model.encoders["oct"].parameters()) for name in model.names}
    log = MMPareto().backward(model, model.closure())
    assert "cosine_oct" in log
    assert "cosine_fundus" not in log


def test_gradients_that_share_memory(toy):
    """A sum hands one tensor to both its terms; each must still be scaled once."""
    model = toy(dropout=0.0)
    encoder = model.encoders["oct"][0]
    plain = model.closure()

    def closure():
        losses = plain()
        tied = (encoder.bias + model.encoders["fundus"][0].bias).sum()
        return type(losses)(losses.fusion + tied, losses.unimodal)

    expected = by_hand(model, closure().total({}))
    MMPareto(gamma=3.0).backward(model, closure)
    found = [p.grad for p in model.parameters() if p.requires_grad]
    places = [place for place, p in enumerate(p for p in model.parameters() if p.requires_grad) if p is encoder.bias]
    assert found[places[0]].norm() >= 3 * expected[places[0]].norm() * (1 - 1e-9)


@pytest.mark.parametrize("options", [{"gamma": 0}, {"eps": -1}])
def test_bad_arguments(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        MMPareto(**options)
