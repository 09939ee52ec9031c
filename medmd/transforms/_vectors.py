"""Vectors: a handful of measurements (sector thicknesses of the RNFL, age …) beside the images."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.transforms import InvertibleTransform, MapTransform
from torch import Tensor

from medmd.transforms._cases import case_name
from medmd.utils import MedmdError


class StandardizeVectord(MapTransform, InvertibleTransform):
    """Make each component of a vector zero-mean and of unit spread: (value - mean) / std.

    Args:
        keys: vectors of n numbers, all standardised by the same constants.
        mean: n numbers, in the vector's unit (µm for RNFL thickness), taken from the training split.
        std: n positive numbers in the same unit.
        allow_missing_keys: skip modalities that the item does not have.

    Raises:
        ValueError: (constructor) `mean` and `std` differ in length or a `std` is not positive.
        MedmdError: (call) a vector is not n numbers.
    """

    def __init__(
        self,
        keys: Sequence[str] | str,
        mean: Sequence[float],
        std: Sequence[float],
        *,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        if len(mean) != len(std) or not all(value > 0 for value in std):
            msg = f"StandardizeVectord: expected as many positive std as mean, got mean {mean!r} and std {std!r}"
            raise ValueError(msg)
        self.mean = torch.tensor(mean, dtype=torch.float32)
        self.std = torch.tensor(std, dtype=torch.float32)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Standardise every key into a float32 tensor (n,)."""
        item = dict(data)
        for key in self.key_iterator(item):
            item[key] = (self._vector(item, key) - self.mean) / self.std
        return item

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Back to the vector's own unit; the constants are all it needs, so nothing is recorded in the item."""
        item = dict(data)
        for key in self.key_iterator(item):
            item[key] = self._vector(item, key) * self.std + self.mean
        return item

    def _vector(self, item: Mapping[Hashable, Any], key: Hashable) -> Tensor:
        try:
            vector = torch.as_tensor(item[key], dtype=torch.float32)
        except (TypeError, ValueError, RuntimeError) as error:
            msg = f"{case_name(item)}: {key!r} is not a list of numbers ({error})."
            raise MedmdError(msg) from None
        if vector.shape != self.mean.shape:
            msg = f"{case_name(item)}: {key!r} has shape {tuple(vector.shape)}, expected {tuple(self.mean.shape)}."
            raise MedmdError(msg)
        return vector
