"""The last step of every pipeline: what a network may see of an item, and nothing else."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.transforms import MapTransform
from torch import Tensor

from medmd.transforms._cases import case_name
from medmd.utils import MedmdError


class PackInputsd(MapTransform):
    """Turn an item into plain tensors that collate, whichever modalities it has.

    The result holds exactly, for K modalities: each key as a float32 tensor of its shape (zeros where absent),
    `present` as a bool tensor (K,) in the order of `keys`, `target` and `case_id` as a string. The target is a 0-d
    float32 tensor of a number (NaN where the item has none), a 0-d int64 tensor of an integer, which is the index of a
    class (-1 where unknown), and (T,) of a list with an entry for each of T tasks: int64 when all of them are classes,
    else float32, which holds an index exactly. Tensors are plain and own their memory: MONAI's MetaTensor slows every
    operation of a network and keeps the file's header alive.

    Args:
        keys: the modalities, in the order that `present` and the network use.
        shapes: modality to its full shape, channel first: OCT (1, slices, depth, along-scan), photograph
            (3, rows, columns), vector (n,).
        target_key: where the item keeps its target, in the unit of the datalist's header (dB for MD).
        case_key: where the item keeps its pseudonym.

    Raises:
        ValueError: (constructor) `shapes` does not name exactly the `keys`.
        MedmdError: (call) a modality has another shape, holds NaN or infinity or is not numeric, the target is neither
            a number nor a list of such, or no modality is present; the text names the case's pseudonym.
    """

    def __init__(
        self,
        keys: Sequence[str] | str,
        shapes: Mapping[str, Sequence[int]],
        *,
        target_key: str = "target",
        case_key: str = "case_id",
    ) -> None:
        super().__init__(keys, allow_missing_keys=True)
        if set(self.keys) != set(shapes):
            msg = f"PackInputsd: shapes must name the keys {list(self.keys)}, got {list(shapes)}"
            raise ValueError(msg)
        self.shapes: dict[Hashable, tuple[int, ...]] = {key: tuple(map(int, shapes[str(key)])) for key in self.keys}
        self.target_key = target_key
        self.case_key = case_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Pack one item; the given mapping is left as it is."""
        present = [data.get(key) is not None for key in self.keys]
        if not any(present):
            msg = f"{case_name(data)}: none of the modalities {list(self.keys)} is present; leave the case out."
            raise MedmdError(msg)
        packed: dict[Hashable, Any] = {
            key: self._tensor(data, key) if there else torch.zeros(self.shapes[key])
            for key, there in zip(self.keys, present, strict=True)
        }
        packed["present"] = torch.tensor(present)
        packed["target"] = _target(data, self.target_key)
        packed["case_id"] = str(data.get(self.case_key, ""))
        return packed

    def _tensor(self, data: Mapping[Hashable, Any], key: Hashable) -> Tensor:
        tensor = _plain(data, key)
        expected = self.shapes[key]
        if tuple(tensor.shape) != expected:
            msg = (
                f"{case_name(data)}: modality {key!r} has shape {tuple(tensor.shape)}, expected {expected}. "
                f"Change shapes of PackInputsd or the crop and resize transforms before it."
            )
            raise MedmdError(msg)
        # The sum is finite only if every value is; it costs a tenth of isfinite().all() and cannot overflow float64.
        if not bool(torch.isfinite(tensor.sum(dtype=torch.float64))):
            msg = f"{case_name(data)}: modality {key!r} holds NaN or infinite values; check the file or leave it out."
            raise MedmdError(msg)
        return tensor


def _plain(data: Mapping[Hashable, Any], key: Hashable) -> Tensor:
    value = data[key]
    try:
        # MetaTensor is a subclass of Tensor, and `.to` hands itself back: as_subclass strips it, clone gives it memory
        # of its own, without which a view of a cached item could be changed in place by its user.
        tensor = value if isinstance(value, Tensor) else torch.from_numpy(np.asarray(value, dtype=np.float32))
        return tensor.as_subclass(Tensor).to(torch.float32).clone(memory_format=torch.contiguous_format)
    except (TypeError, ValueError):
        msg = (
            f"{case_name(data)}: modality {key!r} is a {type(value).__name__}, expected a tensor, an array or a list "
            f"of numbers. Is a loading transform missing from the pipeline?"
        )
        raise MedmdError(msg) from None


def _target(data: Mapping[Hashable, Any], key: str) -> Tensor:
    value = data.get(key)
    values = value if isinstance(value, (list, tuple)) else [value]
    try:
        numbers = [each if _is_class(each) else float("nan") if each is None else float(each) for each in values]
    except (TypeError, ValueError):
        msg = f"{case_name(data)}: {key!r} is {value!r}, expected a number, a list of numbers, or null."
        raise MedmdError(msg) from None
    kind = torch.int64 if all(map(_is_class, numbers)) else torch.float32
    return torch.tensor(numbers if values is value else numbers[0], dtype=kind)


def _is_class(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
