"""RankSim against rankings by scipy and the interpolation rule, written out row by row."""

import numpy as np
import pytest
import torch
from scipy.stats import rankdata

from medmd.losses import RankSimLoss

LAMBDA, GAMMA = 2.0, 100.0


def batch(seed=0, cases=7, width=5):
    random = torch.Generator().manual_seed(seed)
    features = torch.randn(cases, width, generator=random, dtype=torch.float64)
    labels = torch.randn(cases, generator=random, dtype=torch.float64) * 3 - 6
    return features, labels


def ranks(scores):
    """Ranks of a row over its length; the highest score comes first, ties share their mean."""
    return rankdata(-np.asarray(scores), method="average") / len(scores)


def written_out(features, labels, strength=LAMBDA, weight=GAMMA, mean=False):
    """Loss and derivative by the cosine similarities, anchor by anchor."""
    labels = labels.numpy()
    kept = [i for i in range(len(labels)) if np.isfinite(labels[i]) and labels[i] not in labels[:i]]
    z = torch.nn.functional.normalize(features.double(), dim=1).numpy()
    cosines, slopes, total = z @ z.T, np.zeros((len(z), len(z))), 0.0
    for i in kept:
        row = cosines[i, kept]
        wanted = ranks([-abs(labels[i] - labels[j]) for j in kept])
        found = ranks(row)
        share = 1 / len(kept) if mean else 1.0
        total += share * weight * np.mean((found - wanted) ** 2)
        slope = 2 * weight * (found - wanted) / len(kept)
        slopes[i, kept] = -share * (found - ranks(row + strength * slope)) / strength
    return total, torch.tensor(cosines), torch.tensor(slopes)


class Ranks(torch.autograd.Function):
    """Normalised ranks of a vector without ties; backward by the black-box rule, from whatever comes down to them."""

    @staticmethod
    def forward(ctx, scores):
        found = (scores.argsort(descending=True).argsort() + 1) / len(scores)
        ctx.save_for_backward(scores, found)
        return found.to(scores)

    @staticmethod
    def backward(ctx, above):
        scores, found = ctx.saved_tensors
        moved = ((scores + LAMBDA * above).argsort(descending=True).argsort() + 1) / len(scores)
        return -(found - moved).to(scores) / LAMBDA


@pytest.mark.parametrize("cases", [4, 8, 32])
@pytest.mark.parametrize("seed", range(3))
def test_defaults_are_the_published_loss(seed, cases):
    """100 times the sum over anchors, all of which comes down to the ranking."""
    features, labels = batch(seed, cases=cases, width=16)
    features.requires_grad_()
    loss = RankSimLoss()(features, labels, 0)
    loss.backward()

    twin = features.detach().clone().requires_grad_()
    z = torch.nn.functional.normalize(twin, dim=1)
    rows = [
        (Ranks.apply(z @ z[i]) - Ranks.apply(-(labels - labels[i]).abs())).square().mean() for i in range(len(labels))
    ]
    published = 100 * torch.stack(rows).sum()
    published.backward()

    torch.testing.assert_close(loss, published.detach())
    torch.testing.assert_close(features.grad, twin.grad)
    assert features.grad.abs().sum() > 0


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("strength", [0.5, 2.0, 20.0])
@pytest.mark.parametrize(("weight", "reduction"), [(1.0, "mean"), (1.0, "sum"), (100.0, "mean"), (100.0, "sum")])
def test_loss_and_gradient(seed, strength, weight, reduction):
    features, labels = batch(seed)
    features.requires_grad_()
    loss = RankSimLoss(interpolation=strength, weight=weight, reduction=reduction)(features, labels, 0)
    expected, _, slopes = written_out(features.detach(), labels, strength, weight, reduction == "mean")
    assert loss.item() == pytest.approx(expected)
    loss.backward()
    twin = features.detach().clone().requires_grad_()
    z = torch.nn.functional.normalize(twin, dim=1)
    (z @ z.T * slopes).sum().backward()
    torch.testing.assert_close(features.grad, twin.grad)
    assert features.grad.abs().sum() > 0


@pytest.mark.parametrize(
    "labels",
    [[1.0, 1.0, 2.0, 4.0, 4.0, 7.0], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], [1.0, float("nan"), 2.0, 1.0, float("nan"), 9.0]],
    ids=["repeated", "ties", "unknown"],
)
def test_repeated_tied_and_unknown_labels(labels):
    features, _ = batch(3, cases=6)
    labels = torch.tensor(labels, dtype=torch.float64)
    loss = RankSimLoss()(features, labels, 0)
    assert loss.item() == pytest.approx(written_out(features, labels)[0])


def test_zero_when_features_are_ranked_as_labels():
    angles = torch.tensor([0.0, 0.1, 0.3, 0.7], dtype=torch.float64)
    features = torch.stack([angles.cos(), angles.sin()], dim=1).requires_grad_()
    loss = RankSimLoss()(features, angles * 5 - 10, 0)
    loss.backward()
    assert loss.item() == 0
    assert (features.grad == 0).all()


@pytest.mark.parametrize("weight", [1e-3, 100.0])
def test_the_weight_of_the_loss_scales_its_gradient(weight):
    features, labels = batch(1)
    plain, scaled = (features.clone().requires_grad_() for _ in range(2))
    RankSimLoss()(plain, labels, 0).backward()
    (weight * RankSimLoss()(scaled, labels, 0)).backward()
    torch.testing.assert_close(scaled.grad, weight * plain.grad)


@pytest.mark.parametrize(("weight", "least"), [(1.0, 4), (100.0, 2)])
def test_training_by_it_sorts_the_features(weight, least):
    features, labels = batch(2, cases=10)
    features.requires_grad_()
    loss, optimizer = RankSimLoss(weight=weight), torch.optim.Adam([features], lr=0.05)
    first = loss(features, labels, 0).item()
    for step in range(200):
        optimizer.zero_grad()
        loss(features, labels, step).backward()
        optimizer.step()
    assert loss(features, labels, 0).item() < first / least


def test_views_are_averaged_and_the_order_of_cases_does_not_matter():
    features, labels = batch(4)
    other, _ = batch(5)
    loss = RankSimLoss()
    both = loss(features, labels, 0, views=other)
    torch.testing.assert_close(both, (loss(features, labels, 0) + loss(other, labels, 0)) / 2)
    order = torch.tensor([3, 0, 6, 1, 5, 2, 4])
    torch.testing.assert_close(loss(features[order], labels[order], 0, views=other[order]), both)


@pytest.mark.parametrize(
    "labels",
    [torch.zeros(4), torch.full((4,), torch.nan), torch.zeros(1), torch.zeros(0)],
    ids=["equal", "unknown", "one", "none"],
)
def test_degenerate_batches_give_zero_and_finite_gradients(labels):
    features = torch.zeros(len(labels), 3, requires_grad=True)
    loss = RankSimLoss()(features, labels, 0)
    loss.backward()
    assert loss.item() == 0
    assert (features.grad == 0).all()


def test_equal_features_are_parted():
    """Where the rankings of most methods stand still, the interpolation breaks the tie."""
    features = torch.ones(4, 3) + 1e-3 * torch.eye(4, 3)
    features.requires_grad_()
    RankSimLoss()(features, torch.tensor([0.0, 1.0, 3.0, 7.0]), 0).backward()
    assert features.grad.isfinite().all()
    assert features.grad.abs().sum() > 0


def test_half_precision_is_computed_in_full():
    features, labels = batch(1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = RankSimLoss()(features.bfloat16(), labels.float(), 0)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(written_out(features.bfloat16().float(), labels.float())[0], rel=1e-5)


@pytest.mark.parametrize("narrow", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("length", [1e-6, 1.0, 1e6])
def test_large_batches_are_finite(narrow, length):
    features, labels = batch(0, cases=128, width=64)
    features = (length * features).to(narrow).requires_grad_()
    loss = RankSimLoss()(features, labels.float(), 0)
    loss.backward()
    assert loss.isfinite()
    assert features.grad.isfinite().all()
    assert features.grad.abs().sum() > 0


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="interpolation"):
        RankSimLoss(interpolation=0.0)
    with pytest.raises(ValueError, match="weight"):
        RankSimLoss(weight=0.0)
    with pytest.raises(ValueError, match="reduction"):
        RankSimLoss(reduction="none")
    with pytest.raises(ValueError, match="labels"):
        RankSimLoss()(torch.zeros(3, 2), torch.zeros(4), 0)
