"""Feature distribution smoothing: features of rare labels take over the statistics of their neighbours."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from medmd.networks._checks import check_positive
from medmd.networks._heads import without_autocast
from medmd.utils import MedmdError

# The authors' limits of the ratio of two variances.
_RATIOS = (0.1, 10.0)


class FeatureSmoothing(nn.Module):
    """Re-colour features so that their mean and spread change smoothly with the label (FDS).

    Source: Yang et al., Delving into Deep Imbalanced Regression, ICML 2021. The label's range is cut into buckets. Mean
    and variance of each feature are gathered by bucket, an epoch at a time, with a running mean over epochs, and
    smoothed over buckets with a Gaussian kernel. From the second epoch on a feature z of bucket b becomes
    (z - mean_b) s_b + smoothed mean_b, s_b² the smoothed over the plain variance, within [0.1, 10].

    Deviations: the statistics are those of the features that training computed anyway, each epoch's weights in motion,
    where the authors run a second forward pass over the data after every epoch (which also moves batch norm twice);
    a bucket without cases takes no part in its neighbours' smoothing, where it counts as mean 0 and variance 1 in the
    authors' code; a bucket that has had one case at a time has a mean but no variance, and its features are only moved;
    features of a bucket that was never seen, or of an unknown label, stay as they are. An epoch uses what was known
    when it began. All of it is a buffer and part of a checkpoint.

    Args:
        features: length d of the feature.
        low: lower end of the range of labels, in the target's unit.
        high: upper end; labels outside fall into the first or last bucket.
        buckets: number of buckets of equal width.
        kernel_size: how many buckets the kernel spans, odd.
        sigma: of the kernel, in buckets, above 0.
        momentum: share of the earlier epochs in the running statistics, in [0, 1).

    Raises:
        MedmdError: an argument is outside its range.
    """

    counts: Tensor
    sums: Tensor
    squares: Tensor
    mean: Tensor
    variance: Tensor
    has_mean: Tensor
    has_variance: Tensor
    smoothed_mean: Tensor
    factor: Tensor

    def __init__(
        self,
        *,
        features: int,
        low: float,
        high: float,
        buckets: int = 46,
        kernel_size: int = 5,
        sigma: float = 2.0,
        momentum: float = 0.9,
    ) -> None:
        super().__init__()
        check_positive(features=features, buckets=buckets, kernel_size=kernel_size)
        _check(low, high, kernel_size, sigma, momentum)
        self.low, self.high, self.momentum = float(low), float(high), momentum
        self.epoch = 0
        self.register_buffer("_kernel", _kernel(buckets, kernel_size, sigma), persistent=False)
        table = torch.zeros(buckets, features)
        # Of the epoch that runs; squares are those of distances from the epoch's mean so far.
        self.register_buffer("counts", torch.zeros(buckets, 1))
        self.register_buffer("sums", table.clone())
        self.register_buffer("squares", table.clone())
        # Of the epochs before.
        self.register_buffer("mean", table.clone())
        self.register_buffer("variance", table.clone())
        self.register_buffer("has_mean", torch.zeros(buckets, 1, dtype=torch.bool))
        self.register_buffer("has_variance", torch.zeros(buckets, 1, dtype=torch.bool))
        self.register_buffer("smoothed_mean", table.clone())
        self.register_buffer("factor", torch.ones(buckets, features))

    def begin(self, epoch: int) -> None:
        """Tell the epoch before its steps; what was gathered in an earlier one is then put to use, once."""
        if epoch != self.epoch:
            self._finish()
            self.epoch = epoch

    def forward(self, features: Tensor, labels: Tensor, *, gather: bool = True) -> Tensor:
        """Re-colour a batch.

        Args:
            features: (B, d).
            labels: (B,) in the target's unit; NaN where unknown.
            gather: whether the batch counts for the statistics: not when the same step is looked at a second time.

        Returns:
            (B, d) of the features' type.

        Raises:
            ValueError: another width, or shapes that do not fit.
        """
        if features.ndim != 2 or features.shape[1] != self.mean.shape[1] or labels.shape != features.shape[:1]:
            expected = f"(B, {self.mean.shape[1]}) and (B,)"
            msg = f"expected features and labels {expected}; got {tuple(features.shape)} and {tuple(labels.shape)}."
            raise ValueError(msg)
        with without_autocast(features):
            values = features.to(self.mean.dtype)
            member = self._member(labels)
            if gather:
                self._gather(values.detach(), member)
            # Rows of a bucket without a mean, or of none, choose nothing here.
            known = member @ self.has_mean.to(values.dtype)
            moved = (values - member @ self.mean) * (member @ self.factor) + member @ self.smoothed_mean
            return torch.where(known > 0, moved, values).to(features.dtype)

    def get_extra_state(self) -> dict[str, int]:
        """The epoch that runs, on the host: no step waits for the device to ask for it."""
        return {"epoch": self.epoch}

    def set_extra_state(self, state: Any) -> None:
        """Put back what `get_extra_state` gave."""
        self.epoch = int(state["epoch"])

    def _member(self, labels: Tensor) -> Tensor:
        """(B, buckets) of ones and zeros, which bucket each label lies in."""
        share = (labels.to(self.mean.dtype) - self.low) / (self.high - self.low)
        number = len(self.counts)
        place = (share.nan_to_num(nan=0.0) * number).floor().clamp(0, number - 1)
        steps = torch.arange(number, device=labels.device)
        return ((place[:, None] == steps) & ~labels.isnan()[:, None]).to(self.mean.dtype)

    @torch.no_grad()
    def _gather(self, values: Tensor, member: Tensor) -> None:
        """Add a batch to the epoch's numbers, sums and squared distances (Chan et al. 1983)."""
        counts = member.sum(dim=0)[:, None]
        mean = member.T @ values / counts.clamp(min=1)
        apart = member.T @ (values - member @ mean).square()
        gap = mean - self.sums / self.counts.clamp(min=1)
        total = self.counts + counts
        self.squares += apart + gap.square() * self.counts * counts / total.clamp(min=1)
        self.sums += mean * counts
        self.counts.copy_(total)

    @torch.no_grad()
    def _finish(self) -> None:
        """Take the epoch into the running statistics, smooth them, and begin to gather anew."""
        seen, spread = self.counts > 0, self.counts > 1
        mean = self.sums / self.counts.clamp(min=1)
        variance = self.squares / (self.counts - 1).clamp(min=1)
        self._run(self.mean, self.has_mean, mean, seen)
        self._run(self.variance, self.has_variance, variance, spread)
        self.smoothed_mean.copy_(self._smooth(self.mean, self.has_mean))
        ratio = self._smooth(self.variance, self.has_variance) / self.variance
        # A feature that never moves within the bucket has no spread to be changed.
        usable = self.has_variance & (self.variance > 0)
        self.factor.copy_(torch.where(usable, ratio.clamp(*_RATIOS).sqrt(), 1.0))
        for gathered in (self.counts, self.sums, self.squares):
            gathered.zero_()

    def _run(self, running: Tensor, known: Tensor, new: Tensor, seen: Tensor) -> None:
        mixed = torch.where(known, torch.lerp(new, running, self.momentum), new)
        running.copy_(torch.where(seen, mixed, running))
        known.logical_or_(seen)

    def _smooth(self, table: Tensor, known: Tensor) -> Tensor:
        """Mean over the kernel's reach of the buckets that have statistics."""
        kernel: Tensor = self.get_buffer("_kernel")
        weights = kernel * known.T.to(table.dtype)
        return weights @ table / weights.sum(dim=1, keepdim=True).clamp(min=torch.finfo(table.dtype).tiny)


def _kernel(buckets: int, size: int, sigma: float) -> Tensor:
    """(buckets, buckets) Gaussian weights by the distance of two buckets, 0 beyond the kernel's reach."""
    apart = (torch.arange(buckets)[:, None] - torch.arange(buckets)[None, :]).abs()
    return torch.where(apart <= size // 2, torch.exp(-0.5 * (apart / sigma).square()), 0.0)


def _check(low: float, high: float, kernel_size: int, sigma: float, momentum: float) -> None:
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        msg = f"low, high: expected finite numbers with low < high, got {low} and {high}."
        raise MedmdError(msg)
    if kernel_size % 2 == 0 or not (0 < sigma < math.inf) or not 0 <= momentum < 1:
        found = f"{kernel_size}, {sigma} and {momentum}"
        msg = f"kernel_size, sigma, momentum: expected an odd number, one above 0 and one in [0, 1), got {found}."
        raise MedmdError(msg)
