"""What every loss does to its arguments before it computes."""

from __future__ import annotations

import torch
from torch import Tensor


def upcast(values: Tensor) -> Tensor:
    """Half precisions become float32; float32 and float64 stay as they are."""
    return values.float() if values.dtype in (torch.bfloat16, torch.float16) else values


def full_precision(device: torch.device) -> torch.autocast:
    """A context in which no operation is silently narrowed by an enclosing autocast."""
    return torch.autocast(device.type, enabled=False)


def check_choice(name: str, value: str, allowed: tuple[str, ...]) -> str:
    """Return `value` when it is one of `allowed`.

    Raises:
        ValueError: it is not.
    """
    if value not in allowed:
        msg = f"{name}: expected one of {', '.join(allowed)}; got {value!r}."
        raise ValueError(msg)
    return value


def check_range(name: str, value: float, *, low: float, high: float = float("inf"), open_low: bool = False) -> float:
    """Return `value` when it lies in [low, high] ((low, high] when `open_low`) and is finite.

    Raises:
        ValueError: it does not, or is no number.
    """
    inside = low < value <= high if open_low else low <= value <= high
    if not inside or value == float("inf"):
        start = f"{'above' if open_low else 'of at least'} {low}"
        msg = f"{name}: expected a finite number {start} and at most {high}; got {value!r}."
        raise ValueError(msg)
    return value
