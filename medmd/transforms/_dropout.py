"""Training on incomplete eyes: modalities left out at random."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from monai.transforms import MapTransform, Randomizable
from monai.utils import ensure_tuple_rep


class RandModalityDropoutd(Randomizable, MapTransform):
    """Remove modalities at random, never the last one that an item has.

    A removed modality's key is gone from the item, so that `PackInputsd` marks it absent; transforms after this one
    need `allow_missing_keys=True`. The modalities are dropped independently; when all present ones would go, the one
    with the largest draw stays. One number is drawn a key whether or not the item has it, so the fate of one modality
    does not depend on the presence of another (up to the rule of the last one).

    Args:
        keys: all modalities, present or not.
        prob: probability of dropping each, in [0, 1]; one number for all keys or one a key.

    Raises:
        ValueError: (constructor) a probability outside [0, 1].
    """

    def __init__(self, keys: Sequence[str] | str, prob: Sequence[float] | float = 0.2) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys=True)
        self.prob: tuple[float, ...] = ensure_tuple_rep(prob, len(self.keys))
        if not all(0 <= value <= 1 for value in self.prob):
            msg = f"RandModalityDropoutd: prob must lie in [0, 1], got {prob!r}"
            raise ValueError(msg)
        self._draws: dict[Hashable, float] = {}

    def randomize(self, data: Any = None) -> None:
        """Draw one number in [0, 1) a key."""
        self._draws = {key: float(self.R.random_sample()) for key in self.keys}

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Give the item without the dropped modalities."""
        self.randomize()
        present = [key for key in self.keys if data.get(key) is not None]
        limits = dict(zip(self.keys, self.prob, strict=True))
        dropped = {key for key in present if self._draws[key] < limits[key]}
        if present and len(dropped) == len(present):
            dropped.remove(max(present, key=self._draws.__getitem__))
        return {key: value for key, value in data.items() if key not in dropped}
