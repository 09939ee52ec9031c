"""Regression losses against scikit-learn and their definitions."""

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_squared_error, r2_score
from torch.autograd import gradcheck

from medmd.losses import HuberLoss, MeanSquaredErrorLoss, SmapeR2Loss

MAKERS = {
    "mse": MeanSquaredErrorLoss,
    "huber": HuberLoss,
    "smape_r2": lambda **options: SmapeR2Loss(train_variance=25.0, **options),
    "smape_r2_batch": lambda **options: SmapeR2Loss(train_variance=25.0, variance="batch", **options),
    "smape_r2_train": lambda **options: SmapeR2Loss(train_variance=25.0, variance="train", **options),
    "smape_r2_shift": lambda **options: SmapeR2Loss(train_variance=25.0, shift=3.0, **options),
}
every = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())


def batch(size=8, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    target = -6 + 5 * torch.randn(size, generator=generator, dtype=torch.float64)
    prediction = target + torch.randn(size, generator=generator, dtype=torch.float64)
    return prediction.to(dtype).requires_grad_(), target.to(dtype)


@every
@pytest.mark.parametrize("size", [0, 1, 2, 8])
def test_contributions_sum_to_the_scalar(make, size):
    prediction, target = batch(size)
    parts = make(reduction="none")(prediction, target)
    whole = make()(prediction, target)
    assert parts.shape == (size,)
    torch.testing.assert_close(parts.sum(), whole, rtol=1e-12, atol=1e-14)
    whole.backward()
    assert prediction.grad.isfinite().all()


@every
def test_gradient(make):
    prediction, target = batch()
    assert gradcheck(lambda p: make()(p, target), (prediction,))


@every
def test_order_does_not_matter(make):
    prediction, target = batch()
    order = torch.randperm(len(target), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(make()(prediction, target), make()(prediction[order], target[order]), rtol=1e-12, atol=0)
    parts = make(reduction="none")(prediction, target)
    torch.testing.assert_close(parts[order], make(reduction="none")(prediction[order], target[order]))


@every
def test_masked_rows_are_not_there(make):
    prediction, target = batch(6)
    mask = torch.tensor([True, False, True, True, False, True])
    spoiled = torch.where(mask, target, torch.nan)
    wide = torch.where(mask, prediction.detach(), torch.nan).requires_grad_()
    whole = make()(wide, spoiled, mask=mask)
    torch.testing.assert_close(whole, make()(prediction[mask], target[mask]), rtol=1e-12, atol=0)
    whole.backward()
    assert (wide.grad[~mask] == 0).all()
    assert wide.grad[mask].abs().min() > 0
    parts = make(reduction="none")(wide, spoiled, mask=mask)
    assert (parts[~mask] == 0).all()


@every
def test_nothing_counted_gives_zero_with_a_graph(make):
    prediction = torch.full((3,), torch.nan, requires_grad=True)
    loss = make()(prediction, prediction.detach(), mask=torch.zeros(3, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0
    assert (prediction.grad == 0).all()


@every
@pytest.mark.parametrize("values", [[-4.0, -4.0, -4.0], [0.0, 0.0]])
def test_equal_targets(make, values):
    target = torch.tensor(values)
    prediction = (target + 1).requires_grad_()
    loss = make()(prediction, target)
    loss.backward()
    assert loss.isfinite()
    assert prediction.grad.isfinite().all()


@every
def test_half_precision_is_computed_in_float32(make):
    prediction, target = batch(dtype=torch.bfloat16)
    loss = make()(prediction, target)
    assert loss.dtype is torch.float32
    exact = make()(prediction.detach().float(), target.float())
    assert torch.equal(loss, exact)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(make()(prediction.detach().float(), target.float()), exact)


@every
@pytest.mark.parametrize("shapes", [((3,), (4,)), ((3, 1), (3, 1)), ((), ())])
def test_shapes(make, shapes):
    with pytest.raises(ValueError, match=r"one shape \(B,\)"):
        make()(*(torch.zeros(shape) for shape in shapes))


def test_mean_squared_error_is_scikit_learns():
    prediction, target = batch(50)
    expected = mean_squared_error(target.numpy(), prediction.detach().numpy())
    assert MeanSquaredErrorLoss()(prediction, target).item() == pytest.approx(expected)


@pytest.mark.parametrize("delta", [0.1, 1.0, 5.0])
def test_huber_is_its_definition(delta):
    prediction, target = batch(50)
    error = (prediction - target).detach().abs().numpy()
    expected = np.where(error <= delta, error**2 / 2, delta * (error - delta / 2)).mean()
    assert HuberLoss(delta=delta)(prediction, target).item() == pytest.approx(expected)


def smape(target, prediction):
    """Twice scikit-learn-style mean of |p - y| / (|p| + |y|)."""
    return np.mean(2 * np.abs(prediction - target) / (np.abs(prediction) + np.abs(target)))


def test_unguarded_it_is_smape_plus_one_minus_r2():
    prediction, target = batch(40)
    y, p = target.numpy(), prediction.detach().numpy()
    loss = SmapeR2Loss(train_variance=25.0, min_denominator=0.0, variance="batch")
    assert loss(prediction, target).item() == pytest.approx(smape(y, p) + 1 - r2_score(y, p))


def test_weights_and_training_variance():
    prediction, target = batch(40)
    y, p = target.numpy(), prediction.detach().numpy()
    loss = SmapeR2Loss(train_variance=9.0, variance="train", smape_weight=0.0, r2_weight=2.0)
    assert loss(prediction, target).item() == pytest.approx(2 * mean_squared_error(y, p) / 9.0)


def test_guard_bounds_the_weight_of_a_narrow_batch():
    target = torch.tensor([-5.0, -5.1, -4.9, -5.0], dtype=torch.float64)
    prediction = target + 1
    guarded = SmapeR2Loss(train_variance=25.0, smape_weight=0.0)(prediction, target)
    free = SmapeR2Loss(train_variance=25.0, smape_weight=0.0, variance="batch")(prediction, target)
    assert guarded.item() == pytest.approx(4 / (0.25 * 4 * 25))
    assert free.item() == pytest.approx(4 / 0.02)


def test_opposite_signs_have_a_gradient_after_the_shift():
    target = torch.tensor([1.0])
    slopes = []
    for shift in (None, 3.0):
        prediction = torch.tensor([-2.0], requires_grad=True)
        SmapeR2Loss(train_variance=25.0, r2_weight=0.0, shift=shift)(prediction, target).backward()
        slopes.append(prediction.grad.item())
    assert slopes[0] == pytest.approx(0.0, abs=1e-7)
    assert slopes[1] < -0.1


@pytest.mark.parametrize(
    "options",
    [
        {"train_variance": 0.0},
        {"train_variance": float("nan")},
        {"min_denominator": -1.0},
        {"variance": "none"},
        {"min_variance_ratio": -0.1},
        {"smape_weight": -1.0},
        {"r2_weight": float("inf")},
        {"reduction": "sum"},
    ],
    ids=str,
)
def test_bad_arguments(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        SmapeR2Loss(**{"train_variance": 25.0, **options})


def test_bad_delta():
    with pytest.raises(ValueError, match="delta"):
        HuberLoss(delta=0.0)
