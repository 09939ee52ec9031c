"""EchoMEN's contrastive loss against its sums, written out term by term in plain Python."""

import math

import pytest
import torch

from medmd.losses import LabelDistanceWeightedSupConLoss


def batch(seed=0, cases=6, width=4):
    random = torch.Generator().manual_seed(seed)
    features, other = torch.randn(2, cases, width, generator=random, dtype=torch.float64)
    labels = torch.randint(-4, 1, (cases,), generator=random).double() / 2
    return features, other, labels


def written_out(rows, y, tau=1.0, width=0.0):
    z = torch.nn.functional.normalize(torch.tensor(rows), dim=1).tolist()
    terms = []
    for i in range(len(z)):
        s = [sum(a * b for a, b in zip(z[i], row, strict=True)) / tau for row in z]
        positives = [j for j in range(len(z)) if j != i and abs(y[i] - y[j]) <= width]
        negatives = [j for j in range(len(z)) if abs(y[i] - y[j]) > width]
        if not positives:
            continue
        total = sum(math.exp(abs(y[i] - y[k])) for k in negatives)
        bottom = sum(math.exp(s[j]) for j in positives)
        bottom += sum(len(negatives) * math.exp(abs(y[i] - y[j])) / total * math.exp(s[j]) for j in negatives)
        terms.append(-sum(math.log(math.exp(s[p]) / bottom) for p in positives) / len(positives))
    return sum(terms) / len(terms) if terms else 0.0


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("tau", "width"), [(1.0, 0.0), (0.3, 0.6)])
def test_one_view(seed, tau, width):
    features, _, labels = batch(seed)
    found = LabelDistanceWeightedSupConLoss(temperature=tau, width=width)(features, labels, 0)
    assert found.item() == pytest.approx(written_out(features.tolist(), labels.tolist(), tau, width))


def test_two_views():
    features, other, labels = batch(1)
    labels = labels + torch.arange(len(labels)) / 100  # all distinct: a view is the only positive
    found = LabelDistanceWeightedSupConLoss()(features, labels, 0, views=other)
    assert found.item() == pytest.approx(written_out([*features.tolist(), *other.tolist()], labels.tolist() * 2))


def test_equal_distances_weigh_as_supcon():
    """With one negative distance all weights are 1, which is the plain supervised contrastive loss."""
    from medmd.losses import SupConLoss

    features, _, _ = batch(2)
    labels = torch.tensor([-1.5, -1.5, -1.5, 0.5, 0.5, 0.5], dtype=torch.float64)
    ours = LabelDistanceWeightedSupConLoss(temperature=0.2)(features, labels, 0)
    torch.testing.assert_close(ours, SupConLoss(temperature=0.2, bin_width=1.0)(features, labels, 0))


def test_far_negatives_are_pushed_harder():
    features = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.5, 0.5], [0.5, 0.5]], requires_grad=True)
    LabelDistanceWeightedSupConLoss()(features, torch.tensor([0.0, 0.0, 1.0, 5.0]), 0).backward()
    near, far = features.grad[2].norm(), features.grad[3].norm()
    assert far > 2 * near


@pytest.mark.parametrize(
    "labels",
    [torch.zeros(4), torch.full((4,), torch.nan), torch.tensor([0.0, 900.0, torch.nan, -900.0]), torch.zeros(1)],
    ids=["equal", "unknown", "far", "one"],
)
def test_degenerate_batches_give_finite_gradients(labels):
    features = torch.zeros(len(labels), 3, requires_grad=True)
    loss = LabelDistanceWeightedSupConLoss()(features, labels, 0, views=torch.randn(len(labels), 3))
    assert loss.isfinite()
    loss.backward()
    assert features.grad.isfinite().all()


def test_order_gradients_and_precision():
    features, other, labels = batch(3)
    loss, order = LabelDistanceWeightedSupConLoss(), torch.tensor([3, 0, 4, 1, 5, 2])
    first = loss(features, labels, 0, views=other)
    torch.testing.assert_close(first, loss(features[order], labels[order], 0, views=other[order]))
    assert torch.autograd.gradcheck(lambda x: loss(x, labels, 0, views=other), features.clone().requires_grad_())
    assert loss(features.bfloat16(), labels.bfloat16(), 0).dtype == torch.float32


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="temperature"):
        LabelDistanceWeightedSupConLoss(temperature=0.0)
    with pytest.raises(ValueError, match="width"):
        LabelDistanceWeightedSupConLoss(width=-1.0)
