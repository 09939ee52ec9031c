"""The contrastive loss against loops over pairs, and its edges."""

import io
import math

import pytest
import torch
from torch.autograd import gradcheck

from medmd.losses import AdaptiveMarginSupConLoss, FeatureQueue


def batch(size=6, width=4, seed=0, spread=0.5):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(size, width, generator=generator, dtype=torch.float64)
    return features, spread * torch.randn(size, generator=generator, dtype=torch.float64)


def brute_force(features, labels, *, margin, temperature=0.1, inside=False, average="valid", nearest=0, extra=()):
    """Loops over anchors and keys; `extra` holds (feature, label) pairs that are keys only."""
    z = [each / each.norm() for each in features]
    keys = [(z[j], float(labels[j])) for j in range(len(z))] + [(f / f.norm(), float(v)) for f, v in extra]
    total, valid = 0.0, 0
    for i in range(len(z)):
        others = [j for j in range(len(keys)) if j != i]
        distances = {j: abs(float(labels[i]) - keys[j][1]) for j in others}
        positives = {j for j in others if distances[j] < margin}
        positives |= set(sorted(others, key=distances.get)[:nearest])
        if not positives:
            continue
        valid += 1
        weights = {j: math.exp(float(z[i] @ keys[j][0]) / temperature) for j in others}
        denominator = sum(weights.values())
        shares = [weights[j] / denominator for j in positives]
        total += -math.log(sum(shares) / len(shares)) if inside else -sum(map(math.log, shares)) / len(shares)
    count = len(z) if average == "all" else valid
    return total / count if valid else 0.0


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("margin", [0.05, 0.4, 3.0])
@pytest.mark.parametrize("form", ["out", "in"])
@pytest.mark.parametrize("reduction", ["valid", "all"])
@pytest.mark.parametrize("nearest", [0, 1, 2, 50])
def test_agrees_with_loops(seed, margin, form, reduction, nearest):
    features, labels = batch(seed=seed)
    loss = AdaptiveMarginSupConLoss(
        initial_margin=margin, warmup_iterations=9, form=form, reduction=reduction, min_positives=nearest
    )
    expected = brute_force(features, labels, margin=margin, inside=form == "in", average=reduction, nearest=nearest)
    assert loss(features, labels, 0).item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("form", ["out", "in"])
def test_gradient(form):
    features, labels = batch()
    loss = AdaptiveMarginSupConLoss(warmup_iterations=9, form=form, temperature=0.5)
    assert gradcheck(lambda z: loss(z, labels, 0), (features.requires_grad_(),))


def test_order_and_length_do_not_matter():
    features, labels = batch(12)
    loss = AdaptiveMarginSupConLoss(warmup_iterations=9)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    expected = loss(features, labels, 0)
    torch.testing.assert_close(loss(features[order], labels[order], 0), expected, rtol=1e-12, atol=0)
    scale = torch.rand(12, 1, dtype=torch.float64) + 0.1
    torch.testing.assert_close(loss(scale * features, labels, 0), expected, rtol=1e-12, atol=0)


def test_contributions_sum_to_the_scalar():
    features, labels = batch()
    views = batch(seed=1)[0]
    parts = AdaptiveMarginSupConLoss(warmup_iterations=9, reduction="none")(features, labels, 0, views=views)
    assert parts.shape == (6,)
    whole = AdaptiveMarginSupConLoss(warmup_iterations=9)(features, labels, 0, views=views)
    torch.testing.assert_close(parts.sum(), whole)


def test_margin_is_strict_shrinks_and_has_a_floor():
    features, labels = batch(2)
    labels = torch.tensor([0.0, 0.5], dtype=torch.float64)
    assert AdaptiveMarginSupConLoss(initial_margin=0.5, warmup_iterations=9)(features, labels, 0).item() == 0
    loss = AdaptiveMarginSupConLoss(initial_margin=1.0, decay_rate=0.1, warmup_iterations=5, minimum_margin=0.2)
    margins = [loss.margin(t) for t in range(60)]
    assert margins[:6] == [1.0] * 6
    assert margins == sorted(margins, reverse=True)
    assert margins[-1] == 0.2
    fixed = AdaptiveMarginSupConLoss(decay_rate=0.0, warmup_iterations=0)
    assert fixed.margin(10**6) == 0.4


@pytest.mark.parametrize(
    ("size", "labels"),
    [(0, []), (1, [0.0]), (3, [0.0, 0.0, 0.0]), (3, [0.0, 9.0, 18.0]), (2, [math.nan, math.nan])],
    ids=["empty", "one", "equal", "no positive", "unknown"],
)
@pytest.mark.parametrize("options", [{}, {"form": "in"}, {"min_positives": 2}, {"queue_size": 4}, {"reduction": "all"}])
def test_edges_are_finite_and_keep_the_graph(size, labels, options):
    loss = AdaptiveMarginSupConLoss(warmup_iterations=0, **options)
    features = torch.randn(size, 4, requires_grad=True)
    value = loss(features, torch.tensor(labels), 0)
    value.backward()
    assert value.isfinite()
    assert features.grad.isfinite().all()
    if size < 2 or (labels[1] != 0 and "min_positives" not in options):
        assert value.item() == 0


def test_a_feature_of_zeros_takes_no_gradient():
    features = torch.randn(4, 3)
    features[1] = 0
    features.requires_grad_()
    AdaptiveMarginSupConLoss(warmup_iterations=0)(features, torch.zeros(4), 0).backward()
    assert (features.grad[1] == 0).all()
    assert features.grad.isfinite().all()


@pytest.mark.parametrize("temperature", [1e-3, 0.1])
def test_float32_is_stable_and_half_precision_is_upcast(temperature):
    features, labels = batch(32, seed=3)
    loss = AdaptiveMarginSupConLoss(warmup_iterations=9, temperature=temperature)
    exact = loss(features, labels, 0)
    single = loss(features.float(), labels.float(), 0)
    assert single.item() == pytest.approx(exact.item(), rel=1e-4)
    half = features.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        narrow = loss(half, labels.float(), 0)
    assert narrow.dtype is torch.float32
    assert torch.equal(narrow, loss(half.float(), labels.float(), 0))


def test_views_of_one_case_are_positives_whatever_the_margin():
    features, labels = batch(4)
    further = torch.stack([batch(4, seed=s)[0] for s in (1, 2)])
    loss = AdaptiveMarginSupConLoss(initial_margin=1e-9, warmup_iterations=9)
    apart = torch.arange(4, dtype=torch.float64)
    stacked = torch.cat([features, *further])
    expected = brute_force(stacked, apart.repeat(3), margin=1e-9)
    assert loss(features, apart, 0, views=further).item() == pytest.approx(expected, rel=1e-9)
    assert loss.statistics(apart, 0, views=2)["share_without_positive"].item() == 0
    one = loss(features, apart, 0, views=further[0])
    assert one.item() == pytest.approx(brute_force(torch.cat([features, further[0]]), apart.repeat(2), margin=1e-9))
    gone = AdaptiveMarginSupConLoss(initial_margin=0.5, decay_rate=100.0, warmup_iterations=0)
    assert gone.margin(100) == 0
    assert gone(features, apart, 100, views=further).item() == pytest.approx(expected, rel=1e-9)
    del labels


def test_queue_serves_after_the_warm_up():
    loss = AdaptiveMarginSupConLoss(warmup_iterations=2, decay_rate=0.0, queue_size=10)
    stored = []
    for iteration in range(6):
        features, labels = batch(4, seed=iteration)
        features.requires_grad_()
        extra = stored[-10:] if iteration >= 2 else []
        value = loss(features, labels, iteration)
        assert value.item() == pytest.approx(brute_force(features.detach(), labels, margin=0.4, extra=extra), rel=1e-9)
        value.backward()
        stored += [(f, v) for f, v in zip(features.detach(), labels, strict=True)]
    assert not loss.queue.features.requires_grad
    assert loss.queue.features.shape == (10, 4)


def test_queue_is_left_alone_in_evaluation_and_without_gradient():
    loss = AdaptiveMarginSupConLoss(warmup_iterations=0, queue_size=4)
    features, labels = batch(4)
    with torch.no_grad():
        loss(features, labels, 0)
    loss.eval()(features, labels, 0)
    assert loss.queue.features.shape == (4, 0)
    loss.train()(features, labels, 0)
    assert loss.queue.filled(1).all()
    assert not loss.queue.filled(0).any()


def test_queue_travels_with_the_checkpoint():
    loss = AdaptiveMarginSupConLoss(warmup_iterations=0, queue_size=5)
    for iteration in range(3):
        loss(*batch(3, seed=iteration), iteration)
    file = io.BytesIO()
    torch.save(loss.state_dict(), file)
    file.seek(0)
    again = AdaptiveMarginSupConLoss(warmup_iterations=0, queue_size=5)
    again.load_state_dict(torch.load(file, weights_only=True))
    features, labels = batch(3, seed=9)
    for iteration in range(3, 6):
        assert torch.equal(loss(features, labels, iteration), again(features, labels, iteration))
    for ours, theirs in zip(loss.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)


def test_queue_keeps_the_last_of_a_large_batch():
    queue = FeatureQueue(size=3)
    queue.push(torch.arange(5.0)[:, None], torch.arange(5.0), 0)
    assert queue.labels.tolist() == [2, 3, 4]
    queue.push(torch.zeros(0, 1), torch.zeros(0), 1)
    with pytest.raises(ValueError, match="width 1; got width 2"):
        queue.push(torch.zeros(1, 2), torch.zeros(1), 1)
    with pytest.raises(ValueError, match="size"):
        FeatureQueue(size=-1)
    with pytest.raises(RuntimeError, match="size mismatch"):
        FeatureQueue(size=4).load_state_dict(queue.state_dict())


def test_statistics_count_anchors_of_head_and_tail():
    labels = torch.tensor([0.0, 0.1, 0.2, -3.0, -9.0, -9.1])
    tail = labels < -1
    loss = AdaptiveMarginSupConLoss(warmup_iterations=9)
    found = {name: value.item() for name, value in loss.statistics(labels, 0, tail).items()}
    assert found["share_without_positive"] == pytest.approx(1 / 6)
    assert found["share_without_positive_tail"] == pytest.approx(1 / 3)
    assert found["share_without_positive_head"] == 0
    assert found["positives"] == pytest.approx((2 + 2 + 2 + 0 + 1 + 1) / 6)
    assert found["margin"] == pytest.approx(0.4)
    assert math.isnan(
        loss.statistics(labels, 0, torch.zeros(6, dtype=torch.bool))["share_without_positive_tail"].item()
    )
    assert set(loss.statistics(labels, 0)) == {"margin", "positives", "share_without_positive"}


def test_statistics_see_the_queue_but_not_the_batch_in_it():
    loss = AdaptiveMarginSupConLoss(warmup_iterations=0, queue_size=8)
    first, second = torch.tensor([0.0, 5.0]), torch.tensor([0.1, 20.0])
    loss(torch.randn(2, 3), first, 0)
    before = loss.statistics(second, 1)["share_without_positive"]
    loss(torch.randn(2, 3), second, 1)
    after = loss.statistics(second, 1)["share_without_positive"]
    assert before.item() == after.item() == 0.5


def test_nothing_waits_for_the_device(monkeypatch):
    def refuse(*_, **__):
        msg = "read a tensor on the host"
        raise AssertionError(msg)

    loss = AdaptiveMarginSupConLoss(warmup_iterations=0, queue_size=8, min_positives=1)
    features, labels = batch(8)
    with monkeypatch.context() as patch:
        for name in ("item", "tolist", "numpy", "cpu", "nonzero", "__bool__", "__float__", "__int__", "__index__"):
            patch.setattr(torch.Tensor, name, refuse, raising=False)
        for iteration in range(3):
            value = loss(features, labels, iteration)
            loss.statistics(labels, iteration, labels < 0)
    assert value.isfinite()


@pytest.mark.parametrize(
    "options",
    [
        {"initial_margin": 0.0},
        {"decay_rate": -1.0},
        {"warmup_iterations": -1},
        {"temperature": 0.0},
        {"form": "mid"},
        {"minimum_margin": -0.1},
        {"min_positives": -1},
        {"reduction": "sum"},
        {"temperature": float("nan")},
    ],
    ids=str,
)
def test_bad_arguments(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        AdaptiveMarginSupConLoss(**{"warmup_iterations": 0, **options})


@pytest.mark.parametrize(
    ("features", "labels", "views"),
    [((3,), (3,), None), ((3, 2), (2,), None), ((3, 2), (3,), (2, 2)), ((3, 2), (3,), (1, 1, 3, 2))],
)
def test_shapes(features, labels, views):
    further = None if views is None else torch.zeros(views)
    with pytest.raises(ValueError, match="expected"):
        AdaptiveMarginSupConLoss(warmup_iterations=0)(torch.zeros(features), torch.zeros(labels), 0, views=further)
