"""The last sharpness values and how the newest compares with them, kept on the device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class SharpnessWindow:
    """A ring of the last finite values.

    Args:
        size: how many values the median is taken of.
        warmup: the ratio is 1 for so many values.
        eps: a median up to this is no yardstick; the ratio is then 1.
    """

    def __init__(self, *, size: int, warmup: int, eps: float) -> None:
        self.warmup = warmup
        self.eps = eps
        # NaN marks an empty place.
        self.values = torch.full((size,), torch.nan, dtype=torch.float64)
        self.stored = torch.zeros((), dtype=torch.long)
        self.skipped = torch.zeros((), dtype=torch.long)

    def ratio(self, value: Tensor) -> Tensor:
        """Store the 0-d value and divide it by the median (mean of the middle two for an even number).

        A value that is not finite is neither stored nor used: the ratio is 1 and `skipped` counts it.
        """
        self.values = self.values.to(value.device, value.dtype)
        self.stored, self.skipped = self.stored.to(value.device), self.skipped.to(value.device)
        finite = value.isfinite()
        place = (self.stored % len(self.values))[None]
        newest = torch.where(finite, value[None], self.values.gather(0, place))
        self.values = self.values.scatter(0, place, newest)
        self.stored = self.stored + finite
        self.skipped = self.skipped + ~finite
        median = self._median()
        usable = finite & (median > self.eps) & (self.stored > self.warmup)
        return torch.where(usable, value / torch.where(usable, median, 1.0), 1.0)

    def _median(self) -> Tensor:
        filled = self.stored.clamp(max=len(self.values))
        middle = torch.stack([filled - 1, filled]).clamp(min=0) // 2
        # Sorting puts the empty places, as infinity, last.
        return self.values.nan_to_num(nan=torch.inf).sort().values.gather(0, middle).mean()

    def state_dict(self) -> dict[str, Any]:
        """Copies of the values and the two counters."""
        return {name: getattr(self, name).clone() for name in ("values", "stored", "skipped")}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a stored window.

        Raises:
            ValueError: it has another size.
        """
        if state["values"].shape != self.values.shape:
            expected, found = len(self.values), len(state["values"])
            msg = (
                f"window: expected a state of {expected} values; got {found}. Resume with the window it was saved with."
            )
            raise ValueError(msg)
        for name in ("values", "stored", "skipped"):
            setattr(self, name, state[name].clone())
