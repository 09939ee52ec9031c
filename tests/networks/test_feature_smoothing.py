"""Feature smoothing against the same steps in numpy, on lists of features by bucket."""

import math

import numpy as np
import pytest
import torch

from medmd.networks import FeatureSmoothing
from medmd.utils import MedmdError

LOW, HIGH, BUCKETS = -12.0, 0.0, 6


def make(**options):
    return FeatureSmoothing(**{"features": 3, "low": LOW, "high": HIGH, "buckets": BUCKETS, **options})


def batches(seed, number=4, size=9, low=LOW, high=HIGH):
    random = np.random.default_rng(seed)
    found = []
    for _ in range(number):
        labels = random.uniform(low, high, size)
        features = random.normal(labels[:, None] / 3, 1 + np.abs(labels[:, None]) / 6, (size, 3))
        found.append((torch.tensor(features, dtype=torch.float32), torch.tensor(labels, dtype=torch.float32)))
    return found


def bucket(label):
    return int(np.clip(math.floor((label - LOW) / (HIGH - LOW) * BUCKETS), 0, BUCKETS - 1))


class WrittenOut:
    """Lists by bucket, means by numpy, and a loop over neighbours."""

    def __init__(self, size=5, sigma=2.0, momentum=0.9):
        self.size, self.sigma, self.momentum = size, sigma, momentum
        self.rows, self.mean, self.variance = {}, {}, {}

    def gather(self, features, labels):
        for row, label in zip(features.double().numpy(), labels.tolist(), strict=True):
            if not math.isnan(label):
                self.rows.setdefault(bucket(label), []).append(row)

    def finish(self):
        for place, rows in self.rows.items():
            self._run(self.mean, place, np.mean(rows, axis=0))
            if len(rows) > 1:
                self._run(self.variance, place, np.var(rows, axis=0, ddof=1))
        self.rows = {}

    def _run(self, table, place, new):
        known = table.get(place)
        table[place] = new if known is None else self.momentum * known + (1 - self.momentum) * new

    def _smooth(self, table, place):
        near = {k: math.exp(-((k - place) ** 2) / 2 / self.sigma**2) for k in table if abs(k - place) <= self.size // 2}
        return sum(near[k] * table[k] for k in near) / sum(near.values())

    def recolour(self, features, labels):
        found = []
        for row, label in zip(features.double().numpy(), labels.tolist(), strict=True):
            place = None if math.isnan(label) else bucket(label)
            if place not in self.mean:
                found.append(row)
                continue
            factor = 1.0
            if place in self.variance:
                factor = np.sqrt(np.clip(self._smooth(self.variance, place) / self.variance[place], 0.1, 10))
            found.append((row - self.mean[place]) * factor + self._smooth(self.mean, place))
        return np.array(found)


@pytest.mark.parametrize("options", [{}, {"kernel_size": 3, "sigma": 0.7}, {"momentum": 0.0}, {"kernel_size": 1}])
def test_three_epochs(options):
    smoothing = make(**options)
    names = {"kernel_size": "size"}
    oracle = WrittenOut(**{names.get(name, name): value for name, value in options.items()})
    for epoch in (1, 2, 3):
        if epoch > 1:
            oracle.finish()
        for features, labels in batches(epoch):
            smoothing.begin(epoch)
            found = smoothing(features, labels)
            if epoch == 1:
                assert torch.equal(found, features)
            torch.testing.assert_close(
                found, torch.tensor(oracle.recolour(features, labels)).float(), rtol=1e-4, atol=1e-4
            )
            oracle.gather(features, labels)


def test_buckets_that_are_empty_hold_nothing_for_their_neighbours():
    """Only the outermost buckets are filled; were the others mean 0, they would draw these towards 0."""
    smoothing = make(kernel_size=11, sigma=50.0, features=1)
    labels = torch.tensor([-11.5, -11.0, -0.5, -0.1])
    features = torch.tensor([[9.0], [11.0], [19.0], [21.0]])
    smoothing.begin(1)
    smoothing(features, labels)
    smoothing.begin(2)
    found = smoothing(features, labels)
    middle = (10 + 20) / 2  # a kernel this wide weighs both alike
    torch.testing.assert_close(found.flatten(), torch.tensor([-1.0, 1.0, -1.0, 1.0]) + middle, atol=0.1, rtol=0)
    unseen = torch.tensor([[3.0], [4.0]])
    assert torch.equal(smoothing(unseen, torch.tensor([-6.0, torch.nan])), unseen)


def test_the_ratio_of_variances_is_bounded_and_not_that_of_spreads():
    """Variances 2 and 200, smoothed to 101 each: the ratio 50.5 counts as 10, the ratio 0.505 as it is."""
    smoothing = make(kernel_size=3, sigma=1e6, features=1)
    labels, features = torch.tensor([-11.6, -11.5, -9.6, -9.5]), torch.tensor([[-1.0], [1.0], [-10.0], [10.0]])
    smoothing.begin(1)
    smoothing(features, labels)
    smoothing.begin(2)
    found = smoothing(features, labels).flatten()
    expected = torch.tensor([-math.sqrt(10), math.sqrt(10), -10 * math.sqrt(0.505), 10 * math.sqrt(0.505)])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_a_bucket_of_one_case_is_moved_and_not_stretched():
    smoothing = make(kernel_size=3, sigma=1e6, features=1)
    labels, features = torch.tensor([-11.5, -9.5, -9.4]), torch.tensor([[5.0], [1.0], [3.0]])
    smoothing.begin(1)
    smoothing(features, labels)
    smoothing.begin(2)
    found = smoothing(torch.tensor([[8.0]]), labels[:1])
    assert found.item() == pytest.approx(8.0 - 5.0 + (5.0 + 2.0) / 2)


def test_statistics_are_those_of_the_last_finished_epoch():
    smoothing = make()
    (features, labels), (other, more) = batches(0, number=2)
    smoothing.begin(1)
    smoothing(features, labels)
    smoothing.begin(2)
    first = smoothing(features, labels)
    smoothing(100 * other, more)
    assert torch.equal(smoothing(features, labels, gather=False), first)
    smoothing.begin(2)
    assert torch.equal(smoothing(features, labels, gather=False), first)
    smoothing.begin(3)
    assert not torch.equal(smoothing(features, labels, gather=False), first)


def test_looking_again_counts_once():
    once, twice = make(), make()
    for smoothing, again in ((once, False), (twice, True)):
        smoothing.begin(1)
        for features, labels in batches(0):
            smoothing(features, labels)
            if again:
                smoothing(features, labels, gather=False)
    for name, value in once.state_dict().items():
        same = twice.state_dict()[name]
        assert torch.equal(value, same) if isinstance(value, torch.Tensor) else value == same


def test_stored_and_loaded_in_the_middle_of_an_epoch(tmp_path):
    whole, stopped = make(), make()
    data = batches(0, number=9)

    def run(smoothing, steps):
        found = []
        for step in steps:
            smoothing.begin(1 + step // 3)
            found.append(smoothing(*data[step]))
        return found

    expected = run(whole, range(9))
    run(stopped, range(5))
    torch.save(stopped.state_dict(), tmp_path / "state.pt")
    resumed = make()
    resumed.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for ours, theirs in zip(run(resumed, range(5, 9)), expected[5:], strict=True):
        assert torch.equal(ours, theirs)


def test_gradients_pass_scaled():
    smoothing = make()
    ((features, labels),) = batches(1, number=1)
    smoothing.begin(1)
    smoothing(features, labels)
    smoothing.begin(2)
    features = features.clone().requires_grad_()
    smoothing(features, labels).sum().backward()
    factors = smoothing.factor[[bucket(label) for label in labels.tolist()]]
    torch.testing.assert_close(features.grad, factors)
    assert not smoothing.mean.requires_grad


def test_half_precision_keeps_its_type():
    smoothing = make()
    ((features, labels),) = batches(1, number=1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for epoch in (1, 2):
            smoothing.begin(epoch)
            found = smoothing(features.bfloat16(), labels)
    assert found.dtype == torch.bfloat16
    assert found.isfinite().all()
    assert smoothing.mean.dtype == torch.float32


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"low": 0.0, "high": 0.0}, "low < high"),
        ({"high": math.inf}, "low < high"),
        ({"buckets": 0}, "buckets"),
        ({"kernel_size": 4}, "odd"),
        ({"sigma": 0.0}, "sigma"),
        ({"momentum": 1.0}, "momentum"),
    ],
)
def test_arguments_are_checked(options, words):
    with pytest.raises(MedmdError, match=words):
        make(**options)


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="expected features"):
        make()(torch.zeros(4, 2), torch.zeros(4))
    with pytest.raises(ValueError, match="expected features"):
        make()(torch.zeros(4, 3), torch.zeros(5))
