"""OGM-GE's coefficients, noise and what trains the heads."""

import dataclasses
import math

import pytest
import torch

from medmd.balancing import OGMGE, JointLoss, Losses


def coefficients(errors, alpha):
    scores = {name: 1 / (error + 1e-6) for name, error in errors.items()}
    found = {}
    for name, score in scores.items():
        others = [each for other, each in scores.items() if other != name]
        ratio = score / (sum(others) / len(others))
        found[name] = 1 - math.tanh(alpha * ratio) if ratio > 1 else 1.0
    return found


def closure_with(model, errors, seed=0):
    plain = model.closure(seed)
    scores = {name: torch.tensor(error, dtype=torch.float64) for name, error in errors.items()}
    return lambda: Losses(plain().fusion, plain().unimodal, scores)


@pytest.mark.parametrize(
    "errors", [{"oct": 1.0, "fundus": 3.0}, {"oct": 2.0, "fundus": 2.0}, {"oct": 1.0, "fundus": 2.0, "octa": 4.0}]
)
def test_the_encoder_ahead_is_slowed_down(toy, errors):
    model, plain = toy(tuple(errors), dropout=0.0), toy(tuple(errors), dropout=0.0)
    log = OGMGE(alpha=0.5, noise=False).backward(model, closure_with(model, errors))
    JointLoss().backward(plain, plain.closure())
    for name, expected in coefficients(errors, 0.5).items():
        assert log[f"coefficient_{name}"].item() == pytest.approx(expected, rel=1e-9)
        for ours, theirs in zip(model.encoders[name].parameters(), plain.encoders[name].parameters(), strict=True):
            torch.testing.assert_close(ours.grad, expected * theirs.grad, rtol=1e-9, atol=1e-14)


def test_unimodal_losses_train_the_heads_only(toy):
    model, whole = toy(dropout=0.0), toy(dropout=0.0)
    OGMGE(noise=False).backward(model, model.closure())
    OGMGE(noise=False, unimodal="all").backward(whole, whole.closure())
    for ours, theirs in zip(model.head_parameters(), whole.head_parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-12, atol=1e-14)
        assert ours.grad.abs().sum() > 0
    pairs = zip(model.shared_parameters(), whole.shared_parameters(), strict=True)
    assert any(not torch.allclose(a.grad, b.grad) for a, b in pairs)


def test_errors_are_a_running_mean_and_absence_keeps_them(toy):
    balancer, model = OGMGE(momentum=0.5, noise=False), toy()
    seen = []
    for oct_error, fundus_error in [(math.nan, 4.0), (2.0, math.nan), (4.0, 2.0)]:
        log = balancer.backward(model, closure_with(model, {"oct": oct_error, "fundus": fundus_error}))
        seen.append((log["error_oct"].item(), log["error_fundus"].item(), log["coefficient_fundus"].item()))
    assert seen[0][1:] == (4.0, 1.0)
    assert math.isnan(seen[0][0])
    assert seen[1][:2] == (2.0, 4.0)
    assert seen[2][:2] == (3.0, 3.0)


def test_a_modality_without_a_score_leaves_the_others_to_be_compared(toy):
    model, balancer = toy(("oct", "fundus", "octa")), OGMGE(alpha=0.5, noise=False)
    log = balancer.backward(model, closure_with(model, {"oct": 1.0, "fundus": 3.0, "octa": math.nan}))
    for name, expected in coefficients({"oct": 1.0, "fundus": 3.0}, 0.5).items():
        assert log[f"coefficient_{name}"].item() == pytest.approx(expected, rel=1e-9)
    assert log["coefficient_oct"] < 1
    assert log["coefficient_octa"] == 1
    alone = OGMGE(noise=False).backward(model, closure_with(model, {"oct": 1.0, "fundus": math.nan, "octa": math.nan}))
    assert alone["coefficient_oct"] == 1


@pytest.mark.parametrize("inverse", [False, True])
def test_micro_batches_are_averaged_by_their_rows(toy, inverse):
    """Errors over all rows; of scores that are 1 / s - 1e-6, that of the mean s over all rows."""
    model = toy()
    values, rows = {"oct": [1.0, math.nan, 4.0], "fundus": [3.0, 2.0, 5.0]}, {"oct": [1, 0, 3], "fundus": [2, 4, 3]}

    def part(place):
        plain = closure_with(model, {name: each[place] for name, each in values.items()})
        counts = {"oct": torch.tensor(rows["oct"][place]), "fundus": rows["fundus"][place]}
        return lambda: dataclasses.replace(plain(), score_rows=counts, inverse_scores=inverse)

    log = OGMGE(noise=False).backward(model, *[part(place) for place in range(3)])
    for name in values:
        pairs = [(value, row) for value, row in zip(values[name], rows[name], strict=True) if row]
        number = sum(row for _, row in pairs)
        mean = sum((1 / (value + 1e-6) if inverse else value) * row for value, row in pairs) / number
        assert log[f"error_{name}"].item() == pytest.approx(1 / mean - 1e-6 if inverse else mean, rel=1e-9)


def test_nothing_but_encoders_may_be_trainable(toy):
    model, plain = toy(dropout=0.0), toy(dropout=0.0)
    for each in (model, plain):
        for parameter in [*each.head_parameters(), each.unused]:
            parameter.requires_grad_(False)
    OGMGE(alpha=1e-9, noise=False).backward(model, model.closure())
    JointLoss().backward(plain, plain.closure())
    for ours, theirs in zip(model.shared_parameters(), plain.shared_parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-8, atol=1e-14)


def test_noise_has_the_spread_of_the_gradient(toy):
    model, plain = toy(width=64, dropout=0.0), toy(width=64, dropout=0.0)
    JointLoss().backward(plain, plain.closure())
    weight, base = model.encoders["oct"][0].weight, plain.encoders["oct"][0].weight.grad
    torch.manual_seed(0)
    draws = []
    for _ in range(50):
        OGMGE(alpha=1e-9).backward(model, model.closure())
        draws.append(weight.grad - base)
    noise = torch.stack(draws)
    assert noise.std().item() == pytest.approx(base.std(correction=0).item(), rel=0.03)
    assert abs(noise.mean().item()) < 0.05 * base.std().item()


def test_conv_leaves_other_tensors_alone_and_iterations_bound_it(toy):
    for options in ({"tensors": "conv"}, {"start": 1}, {"stop": 0}):
        model, plain = toy(dropout=0.0), toy(dropout=0.0)
        OGMGE(**options).backward(model, closure_with(model, {"oct": 1.0, "fundus": 9.0}))
        JointLoss().backward(plain, plain.closure())
        for ours, theirs in zip(model.shared_parameters(), plain.shared_parameters(), strict=True):
            torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-12, atol=1e-14)


def test_a_score_and_a_fused_loss_are_needed(toy):
    model = toy()
    losses = model.closure()()
    with pytest.raises(ValueError, match=r"without a score: \['fundus'\]"):
        OGMGE().backward(model, lambda: Losses(losses.fusion, losses.unimodal, {"oct": torch.ones(())}))
    with pytest.raises(ValueError, match="fused loss"):
        OGMGE().backward(model, model.closure(fusion=False))


@pytest.mark.parametrize(
    "options", [{"alpha": 0}, {"momentum": 1}, {"unimodal": "none"}, {"tensors": "bias"}, {"start": -1}, {"stop": -2}]
)
def test_bad_arguments(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        OGMGE(**options)
