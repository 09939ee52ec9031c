"""Which rows of a batch have which modality: the checks, and one look at them from the host."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from medmd.utils import MedmdError

# By modality, who has it: the rows in order, None for all; in a traced graph (B,) bool.
Presence = Mapping[str, list[int] | None] | Mapping[str, Tensor]


def batch_size(inputs: Mapping[str, Tensor], modalities: tuple[str, ...]) -> int:
    """Number of rows in `inputs`, after checking that the names are known and the sizes agree.

    Raises:
        MedmdError: no input at all, an unknown name, a value that is not a float tensor, or different batch sizes.
    """
    unknown = sorted(set(inputs) - set(modalities))
    if unknown:
        msg = f"Unknown modality {', '.join(map(repr, unknown))}. Expected names out of {list(modalities)}."
        raise MedmdError(msg)
    if not inputs:
        msg = f"Every modality is absent. Expected at least one of {list(modalities)}."
        raise MedmdError(msg)
    for name, value in inputs.items():
        _check_tensor(name, value)
    sizes = {name: value.shape[0] for name, value in inputs.items()}
    first = next(iter(sizes.values()))
    if any(size != first for size in sizes.values()):
        msg = f"The modalities have different batch sizes: {sizes}. Expected one row an eye in each of them."
        raise MedmdError(msg)
    return first


def all_rows(inputs: Mapping[str, Tensor], modalities: tuple[str, ...]) -> dict[str, list[int] | None]:
    """As `present_rows` when each modality among the inputs exists in every row."""
    return {name: None if name in inputs else [] for name in modalities}


def present_rows(
    present: Tensor, inputs: Mapping[str, Tensor], modalities: tuple[str, ...], rows: int
) -> dict[str, list[int] | None]:
    """By modality the rows that have it, or None for all rows.

    A tensor on an accelerator costs one transfer of B x K booleans, and with it one synchronisation; a tensor that
    stayed on the host costs none.

    Raises:
        MedmdError: `present` is not a (B, K) bool tensor, a row has no modality, or a modality that is said to be
            present is not among the inputs.
    """
    expected = (rows, len(modalities))
    if not isinstance(present, Tensor) or present.dtype != torch.bool or tuple(present.shape) != expected:
        msg = (
            f"present: expected a bool tensor of shape {expected} in the order {list(modalities)}, got {_say(present)}."
        )
        raise MedmdError(msg)
    table = present.tolist()
    empty = [row for row, flags in enumerate(table) if not any(flags)]
    if empty:
        msg = f"Every modality is absent in batch row {empty}. Leave cases without any input out of the datalist."
        raise MedmdError(msg)
    found: dict[str, list[int] | None] = {}
    for column, name in enumerate(modalities):
        having = [row for row, flags in enumerate(table) if flags[column]]
        if having and name not in inputs:
            msg = f"present says that {name!r} exists in batch row {having}, but the inputs hold {sorted(inputs)}."
            raise MedmdError(msg)
        found[name] = None if len(having) == rows else having
    return found


def indices(having: Mapping[str, list[int] | None], inputs: Mapping[str, Tensor]) -> dict[str, Tensor | None]:
    """By modality that some row has, the rows as indices on its device, None for all."""
    return {
        name: None if rows is None else torch.tensor(rows, device=inputs[name].device)
        for name, rows in having.items()
        if rows is None or rows
    }


def mask_of(rows: list[int] | Tensor | None, like: Tensor) -> Tensor:
    """Rows, as `Presence` names them, as (B,) bool on the device of `like` (B, ...)."""
    if isinstance(rows, Tensor):
        return rows
    if rows is None:
        return torch.ones(like.shape[0], dtype=torch.bool, device=like.device)
    there = set(rows)
    return torch.tensor([row in there for row in range(like.shape[0])], device=like.device)


def where_present(here: Tensor, values: Tensor, other: float) -> Tensor:
    """(B, ...) values where `here` (B,), `other` elsewhere."""
    return torch.where(here.reshape(-1, *[1] * (values.ndim - 1)), values, other)


def _check_tensor(name: str, value: object) -> None:
    if not isinstance(value, Tensor) or value.ndim < 2 or not value.is_floating_point():
        msg = f"Input {name!r}: expected a float tensor with a batch axis, got {_say(value)}."
        raise MedmdError(msg)


def _say(value: object) -> str:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} of shape {tuple(value.shape)}"
    return type(value).__name__
