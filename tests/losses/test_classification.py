"""Losses of classes and tasks against PyTorch's own, and the scores of OGM-GE against its definition."""

from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional

from medmd.balancing import OGMGE, Losses
from medmd.losses import ClassificationLoss, MultitaskLoss

GENERATOR = torch.Generator().manual_seed(0)
LOGITS = torch.randn(7, 4, generator=GENERATOR)
OTHER = torch.randn(7, 4, generator=GENERATOR)
TARGET = torch.tensor([0, 3, 1, 1, 2, 0, 3])


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_cross_entropy(smoothing):
    expected = functional.cross_entropy(LOGITS, TARGET, label_smoothing=smoothing)
    torch.testing.assert_close(ClassificationLoss(label_smoothing=smoothing)(LOGITS, TARGET), expected)


def test_unknown_classes_count_nowhere():
    logits = LOGITS.clone()
    logits[2] = torch.nan
    logits.requires_grad_()
    target = TARGET.clone()
    target[2] = -1
    kept = torch.tensor([0, 1, 3, 4, 5, 6])
    loss = ClassificationLoss()(logits, target)
    loss.backward()
    torch.testing.assert_close(loss, functional.cross_entropy(LOGITS[kept], TARGET[kept]))
    assert torch.equal(logits.grad[2], torch.zeros(4))
    assert logits.grad.isfinite().all()


def test_nothing_known_gives_zero_with_a_graph():
    logits = LOGITS.clone().requires_grad_()
    loss = ClassificationLoss()(logits, torch.full((7,), -1))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_half_precision_is_computed_in_float32():
    assert ClassificationLoss()(LOGITS.bfloat16(), TARGET).dtype == torch.float32


def test_every_head_has_its_loss_over_its_rows():
    rows = {"oct": torch.tensor([0, 1, 4]), "fundus": None}
    blank = LOGITS.clone()
    blank[[2, 3, 5, 6]] = torch.nan
    predictions = SimpleNamespace(fusion=OTHER, unimodal={"oct": blank, "fundus": OTHER})
    fusion, unimodal, scores = ClassificationLoss().losses(predictions, TARGET, rows)
    torch.testing.assert_close(fusion, functional.cross_entropy(OTHER, TARGET))
    expected = functional.cross_entropy(LOGITS[[0, 1, 4]], TARGET[[0, 1, 4]])
    torch.testing.assert_close(unimodal["oct"], expected)
    assert all(not score.requires_grad for score in scores.values())


def test_a_modality_without_rows_has_no_loss_and_no_score():
    predictions = SimpleNamespace(fusion=OTHER, unimodal={"oct": torch.full((7, 4), torch.nan)})
    rows = {"oct": torch.zeros(0, dtype=torch.int64)}
    _, unimodal, scores = ClassificationLoss().losses(predictions, TARGET, rows)
    assert unimodal["oct"] == 0
    assert scores["oct"].isnan()


class Two(torch.nn.Module):
    """Two encoders of one weight each, and a head apart."""

    def __init__(self):
        super().__init__()
        self.a, self.b = torch.nn.Parameter(torch.ones(4)), torch.nn.Parameter(torch.ones(4))
        self.head = torch.nn.Parameter(torch.ones(4))

    def encoder_parameters(self):
        return {"a": [self.a], "b": [self.b]}

    def shared_parameters(self):
        return [self.a, self.b]


def test_ogm_ge_slows_down_by_the_coefficient_of_its_paper():
    model, alpha = Two(), 0.3
    strong = 3 * functional.one_hot(TARGET, 4).float()
    predictions = SimpleNamespace(fusion=LOGITS, unimodal={"a": strong, "b": LOGITS})
    _, _, scores = ClassificationLoss().losses(predictions, TARGET, {"a": None, "b": None})

    def closure():
        unimodal = {"a": (model.a * model.head).sum(), "b": (model.b * model.head).sum()}
        return Losses((model.a * model.b * model.head).sum(), unimodal, scores)

    log = OGMGE(alpha=alpha, momentum=0.0, noise=False).backward(model, closure)
    true = {name: torch.softmax(each, 1)[torch.arange(7), TARGET].sum() for name, each in predictions.unimodal.items()}
    ratio = true["a"] / true["b"]
    assert ratio > 1
    torch.testing.assert_close(log["coefficient_a"], 1 - torch.tanh(alpha * ratio))
    torch.testing.assert_close(log["coefficient_b"], torch.tensor(1.0))


def test_tasks_of_classes_and_numbers():
    number = torch.linspace(-3.0, 3.0, 7, requires_grad=True)
    truth = torch.tensor([1.0, torch.nan, 0.0, 2.0, -1.0, 0.5, 3.0])
    target = torch.stack([TARGET.float(), truth], dim=1)
    target[4, 0] = -1
    predictions = SimpleNamespace(unimodal={"grade": LOGITS, "md": number})
    fusion, found, scores = MultitaskLoss(scales={"md": 2.0}).losses(predictions, target, {})
    assert fusion is None
    assert scores == {}
    kept = [0, 1, 2, 3, 5, 6]
    torch.testing.assert_close(found["grade"], functional.cross_entropy(LOGITS[kept], TARGET[kept]))
    known = [0, 2, 3, 4, 5, 6]
    torch.testing.assert_close(found["md"], ((number - truth)[known] / 2).square().mean())
    found["md"].backward()
    assert number.grad.isfinite().all()


def test_tasks_need_a_column_each():
    with pytest.raises(ValueError, match=r"\(B, 1\)"):
        MultitaskLoss().losses(SimpleNamespace(unimodal={"a": LOGITS}), TARGET, {})


def test_the_losses_of_tasks_are_for_no_single_head():
    with pytest.raises(NotImplementedError):
        MultitaskLoss()(LOGITS, TARGET)


@pytest.mark.parametrize(("logits", "target"), [(LOGITS[:, 0], TARGET), (LOGITS, TARGET[:3]), (LOGITS, LOGITS)])
def test_other_shapes_are_refused(logits, target):
    with pytest.raises(ValueError, match=r"expected logits \(B, C\)"):
        ClassificationLoss()(logits, target)


def test_arguments_outside_their_range_are_refused():
    with pytest.raises(ValueError, match="label_smoothing"):
        ClassificationLoss(label_smoothing=-0.1)
    with pytest.raises(ValueError, match="scales#md"):
        MultitaskLoss(scales={"md": 0.0})
