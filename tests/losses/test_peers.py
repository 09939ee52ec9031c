"""The losses of other methods against their sums, written out term by term in plain Python."""

import math

import pytest
import torch
from scipy.stats import norm

from medmd.losses import (
    BatchMonteCarloLoss,
    ConRLoss,
    DensityWeightedLoss,
    GaussianMixtureBalancedLoss,
    MeanSquaredErrorLoss,
    RankNContrastLoss,
    SimCLRLoss,
    SupConLoss,
)

CONTRASTIVE = {"simclr": SimCLRLoss, "supcon": SupConLoss, "rnc": RankNContrastLoss, "conr": ConRLoss}


def batch(seed=0, cases=6, width=5, spread=1.0):
    generator = torch.Generator().manual_seed(seed)
    features, other = torch.randn(2, cases, width, generator=generator, dtype=torch.float64)
    labels, predictions = spread * torch.randn(2, cases, generator=generator, dtype=torch.float64)
    return features, other, labels, predictions


def unit_rows(*parts):
    rows = torch.cat(parts)
    return (rows / rows.norm(dim=1, keepdim=True)).tolist()


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def log_sum(values):
    return math.log(sum(math.exp(value) for value in values))


@pytest.mark.parametrize("seed", range(4))
def test_simclr(seed):
    features, other, labels, _ = batch(seed)
    z = unit_rows(features, other)
    n = len(z)
    terms = []
    for i in range(n):
        s = [dot(z[i], z[k]) / 0.2 for k in range(n)]
        terms.append(log_sum(s[k] for k in range(n) if k != i) - s[(i + n // 2) % n])
    found = SimCLRLoss(temperature=0.2)(features, labels, 0, views=other)
    assert found.item() == pytest.approx(sum(terms) / n)


def test_simclr_with_one_view_is_zero():
    features, _, labels, _ = batch()
    assert SimCLRLoss()(features, labels, 0) == 0


@pytest.mark.parametrize("seed", range(4))
def test_supcon(seed):
    features, _, labels, _ = batch(seed)
    z, bins = unit_rows(features), [math.floor(y / 0.7) for y in labels.tolist()]
    terms = []
    for i in range(len(z)):
        s = [dot(z[i], each) / 0.1 for each in z]
        rest = [k for k in range(len(z)) if k != i]
        positives = [k for k in rest if bins[k] == bins[i]]
        if positives:
            terms.append(sum(log_sum(s[k] for k in rest) - s[p] for p in positives) / len(positives))
    expected = sum(terms) / len(terms) if terms else 0.0
    assert SupConLoss(bin_width=0.7)(features, labels, 0).item() == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(4))
def test_rank_n_contrast(seed):
    features, other, labels, _ = batch(seed)
    rows, values = torch.cat([features, other]).tolist(), labels.tolist() * 2
    n, terms = len(rows), []
    for i in range(n):
        s = [-math.dist(rows[i], row) / 2 for row in rows]
        for j in range(n):
            if j != i:
                limit = abs(values[i] - values[j])
                farther = [s[k] for k in range(n) if k != i and abs(values[i] - values[k]) >= limit]
                terms.append(log_sum(farther) - s[j])
    found = RankNContrastLoss()(features, labels, 0, views=other)
    assert found.item() == pytest.approx(sum(terms) / len(terms))


@pytest.mark.parametrize("seed", range(6))
def test_conr(seed):
    features, _, labels, predictions = batch(seed, cases=8)
    z, y, p = unit_rows(features), labels.tolist(), (0.3 * predictions).tolist()
    terms = []
    for i in range(len(z)):
        s = [dot(z[i], each) / 0.07 for each in z]
        rest = [k for k in range(len(z)) if k != i]
        positives = [k for k in rest if abs(y[k] - y[i]) <= 0.5]
        negatives = [k for k in rest if k not in positives and abs(p[k] - p[i]) <= 0.5]
        if positives and negatives:
            pushed = [s[k] + 0.3 * abs(y[k] - y[i]) for k in negatives]
            bottom = log_sum([s[k] for k in positives] + pushed)
            terms.append(sum(bottom - s[k] for k in positives) / len(positives))
    loss = ConRLoss(width=0.5, push=0.3)
    found = loss(features, labels, 0, predictions=0.3 * predictions)
    assert found.item() == pytest.approx(sum(terms) / len(terms) if terms else 0.0)


def test_conr_needs_predictions():
    features, _, labels, _ = batch()
    with pytest.raises(ValueError, match="predictions"):
        ConRLoss()(features, labels, 0)


@pytest.mark.parametrize("make", CONTRASTIVE.values(), ids=CONTRASTIVE.keys())
@pytest.mark.parametrize(
    "labels",
    [torch.zeros(4), torch.full((4,), torch.nan), torch.tensor([0.0, 10.0, torch.nan, -10.0]), torch.zeros(1)],
    ids=["equal", "unknown", "far", "one"],
)
def test_degenerate_batches_give_finite_gradients(make, labels):
    features = torch.zeros(len(labels), 3, requires_grad=True)  # equal, and of length zero
    loss = make()(features, labels, 0, predictions=torch.zeros(len(labels)), views=features.detach())
    assert loss.isfinite()
    loss.backward()
    assert features.grad.isfinite().all()


@pytest.mark.parametrize("make", CONTRASTIVE.values(), ids=CONTRASTIVE.keys())
def test_the_order_of_the_cases_does_not_matter_and_gradients_are_right(make):
    features, other, labels, predictions = batch(3, cases=5, spread=0.3)
    order = torch.tensor([3, 0, 4, 1, 2])
    loss = make()
    first = loss(features, labels, 0, predictions=predictions, views=other)
    second = loss(features[order], labels[order], 0, predictions=predictions[order], views=other[order])
    torch.testing.assert_close(first, second)

    def value(points):
        return loss(points, labels, 0, predictions=predictions, views=other)

    assert torch.autograd.gradcheck(value, features.clone().requires_grad_())


@pytest.mark.parametrize("make", CONTRASTIVE.values(), ids=CONTRASTIVE.keys())
def test_half_precision_is_computed_in_full(make):
    features, _, labels, predictions = batch(1, spread=0.3)
    loss = make()(features.bfloat16(), labels.bfloat16(), 0, predictions=predictions.bfloat16())
    assert loss.dtype == torch.float32


def test_batch_monte_carlo_is_a_cross_entropy():
    _, _, target, prediction = batch(0, spread=4)
    logits = -(prediction[:, None] - target[None]).square() / (2 * 2.5**2)
    expected = 2 * 2.5**2 * torch.nn.functional.cross_entropy(logits, torch.arange(len(target)))
    torch.testing.assert_close(BatchMonteCarloLoss(noise=2.5)(prediction, target), expected)


MIXTURE = {"weights": [0.7, 0.3], "means": [-2.0, -15.0], "variances": [4.0, 30.0]}


def test_gaussian_mixture_is_the_error_and_the_log_density():
    _, _, target, prediction = batch(0, spread=4)
    loss = GaussianMixtureBalancedLoss(**MIXTURE, noise=2.0)
    density = sum(
        w * norm.pdf(prediction.numpy(), m, math.sqrt(v + 4.0)) for w, m, v in zip(*MIXTURE.values(), strict=True)
    )
    expected = (prediction - target).square().numpy() + 8.0 * (
        torch.tensor(density).log().numpy() + 0.5 * math.log(2 * math.pi)
    )
    assert loss(prediction, target).item() == pytest.approx(float(expected.mean()))


def test_balancing_pulls_towards_the_rare_labels():
    """Where common labels crowd above, the correction pushes the prediction below its label."""
    target = torch.tensor([-8.0], dtype=torch.float64)
    prediction = target.clone().requires_grad_()
    GaussianMixtureBalancedLoss(**MIXTURE)(prediction, target).backward()
    assert prediction.grad.item() > 0  # a step downhill lowers the prediction, away from the crowd at -2


DENSITY = {"centres": [-9.5, -8.5, -7.5, -6.5], "density": [1.0, 0.0, 4.0, 16.0]}


@pytest.mark.parametrize(
    "loss",
    [BatchMonteCarloLoss(), GaussianMixtureBalancedLoss(**MIXTURE), DensityWeightedLoss(**DENSITY)],
)
def test_contributions_sum_and_masked_rows_do_not_count(loss):
    _, _, target, prediction = batch(2, spread=4)
    mask = torch.tensor([True, True, False, True, False, True])
    spoiled = torch.where(mask, target, torch.nan)
    whole = loss(prediction, spoiled, mask=mask)
    torch.testing.assert_close(whole, loss(prediction[mask], target[mask]))
    loss.reduction = "none"
    parts = loss(prediction, spoiled, mask=mask)
    loss.reduction = "mean"
    torch.testing.assert_close(parts.sum(), whole)
    assert (parts[~mask] == 0).all()
    assert loss(prediction[:0], target[:0]) == 0


@pytest.mark.parametrize(("reweight", "power"), [("inverse", 1.0), ("sqrt_inverse", 0.5)])
def test_density_weights(reweight, power):
    loss = DensityWeightedLoss(**DENSITY, reweight=reweight, error="absolute")
    labels = torch.tensor([-30.0, -9.6, -8.2, -8.0, -7.9, -7.0, -6.6, 3.0], dtype=torch.float64)
    raw = [density**-power for density in (1, 1, 1, 4, 4, 16, 16, 16)]  # the empty bin takes the rarest density
    mean = sum(density * density**-power for density in (1, 4, 16)) / 21
    expected = torch.tensor(raw, dtype=torch.float64) / mean
    torch.testing.assert_close(loss.weights(labels), expected)
    assert loss(labels + 2, labels).item() == pytest.approx((2 * expected).mean().item())


@pytest.mark.parametrize("reweight", ["inverse", "sqrt_inverse"])
def test_density_weights_have_a_mean_of_1_over_the_cases_that_were_counted(reweight):
    smoothed = {"centres": DENSITY["centres"], "density": [0.5, 3.0, 6.0, 11.0], "counts": [1, 0, 4, 16]}
    weights = DensityWeightedLoss(**smoothed, reweight=reweight).weights(
        torch.tensor([-9.2, *[-7.9] * 4, *[-7.0] * 16])
    )
    assert weights.mean().item() == pytest.approx(1)
    assert DensityWeightedLoss(**smoothed | {"counts": None}).weights(torch.tensor([-7.0])) != weights[-1]


def test_a_single_case_has_no_alternatives_in_its_batch():
    loss = BatchMonteCarloLoss()
    one = torch.tensor([3.0])
    assert loss(one, one + 1) == 0
    assert MeanSquaredErrorLoss()(one, one + 1) == 1


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: SimCLRLoss(temperature=0), "temperature"),
        (lambda: SupConLoss(bin_width=0), "bin_width"),
        (lambda: RankNContrastLoss(temperature=-1), "temperature"),
        (lambda: ConRLoss(width=0), "width"),
        (lambda: ConRLoss(push=-1), "push"),
        (lambda: DensityWeightedLoss(centres=[0.0], density=[0.0]), "not all 0"),
        (lambda: DensityWeightedLoss(centres=[0.0, 1.0], density=[1.0]), "expected 2 numbers"),
        (lambda: DensityWeightedLoss(centres=[0.0], density=[1.0], counts=[1, 2]), "counts: expected 1 numbers"),
        (lambda: DensityWeightedLoss(centres=[0.0], density=[1.0], reweight="root"), "reweight"),
        (lambda: BatchMonteCarloLoss(noise=0), "noise"),
        (lambda: GaussianMixtureBalancedLoss(weights=[1.0], means=[0.0], variances=[0.0]), "variances"),
        (lambda: GaussianMixtureBalancedLoss(weights=[0.5], means=[0.0], variances=[1.0]), "sum of 1"),
        (lambda: GaussianMixtureBalancedLoss(weights=[1.0], means=[], variances=[1.0]), "equal lengths"),
    ],
)
def test_wrong_arguments(make, words):
    with pytest.raises(ValueError, match=words):
        make()
