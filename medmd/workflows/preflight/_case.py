"""One case really prepared: what it takes in the cache and in a batch, and that the preprocessing runs at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from medmd.data import Case, CaseDataset, Datalist

# Of a list, a dictionary and small objects around the arrays of a cached item.
_AROUND = 16 * 1024


@dataclass(frozen=True, kw_only=True)
class CaseCost:
    """Bytes of one prepared case.

    Args:
        training: in the cache of the training cases, which ends before the first random transform.
        validation: in that of the others.
        packed: as it goes into a batch.
        shapes: by modality, of the batch's tensors without their first axis.
    """

    training: int
    validation: int
    packed: int
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


def flat_item(datalist: Datalist, case: Case) -> dict[str, Any]:
    """One case as `load_items` would give it; the datalist is not read and validated once more for it."""
    folder = (datalist.folder or Path()).absolute()
    inputs = {name: case.inputs[name] for name in case.present}
    return {
        "case_id": case.case_id,
        "patient_id": case.patient_id,
        "laterality": case.laterality,
        **{name: str(folder / value) if isinstance(value, str) else value for name, value in inputs.items()},
        "target": case.target,
    }


def prepare_case(item: Mapping[str, Any], *, transform: Any, augmented: Any, inputs: tuple[str, ...]) -> CaseCost:
    """Prepare one case as a run does.

    Args:
        item: as `load_items` gives it.
        transform: the deterministic transforms.
        augmented: those and the random ones, in the order of training.
        inputs: the modalities.

    Raises:
        MedmdError: the case cannot be prepared; the text names its pseudonym.
    """
    plain, random = (
        CaseDataset([item], each, seed=0, num_workers=1, progress=False) for each in (transform, augmented)
    )
    packed = plain[0]
    shapes = {name: tuple(packed[name].shape) for name in inputs if isinstance(packed.get(name), Tensor)}
    return CaseCost(
        training=_bytes(random._cache[0]) + _AROUND,
        validation=_bytes(plain._cache[0]) + _AROUND,
        packed=_bytes(packed),
        shapes=shapes,
    )


def _bytes(item: Mapping[Any, Any]) -> int:
    """Of the arrays and tensors; a view counts with all of the memory that it keeps alive."""
    return sum(_memory(value) for value in item.values())


def _memory(value: Any) -> int:
    if isinstance(value, Tensor):
        return int(value.untyped_storage().nbytes())
    if isinstance(value, np.ndarray):
        while isinstance(value.base, np.ndarray):
            value = value.base
        return value.nbytes
    return 0
