"""Autocast that works on the CPU too: MONAI's `amp=True` silently computes in float32 there."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from medmd.utils import MedmdError

_DTYPES = {"bfloat16": torch.bfloat16}


def autocast(device: torch.device, dtype: str | None) -> AbstractContextManager[None]:
    """The context in which a stage's main forward runs.

    Args:
        device: where the network is.
        dtype: `None` for full precision, or `"bfloat16"`. float16 is not offered: it needs loss scaling, which would
            have to be undone before every gradient norm that a balancer takes.

    Raises:
        MedmdError: the name is another one.
    """
    if dtype is None:
        return nullcontext()
    if dtype not in _DTYPES:
        msg = f"autocast_dtype must be null or one of {sorted(_DTYPES)}, got {dtype!r}."
        raise MedmdError(msg)
    # Without the cache of narrowed weights: a method that moves the weights and forwards again would meet the old ones.
    return torch.autocast(device.type, dtype=_DTYPES[dtype], cache_enabled=False)


def upcast(values: Tensor) -> Tensor:
    """Half precision becomes float32; what is wider stays as it is."""
    return values.float() if values.dtype in (torch.bfloat16, torch.float16) else values


def check_precision(device: str | torch.device, dtype: str | None, options: dict[str, object]) -> None:
    """Refuse a precision that a trainer would ignore, before anything is computed.

    Raises:
        MedmdError: an unknown `autocast_dtype`, or MONAI's `amp`, which needs a loss scaler and does nothing on a CPU.
    """
    autocast(torch.device(device), dtype)
    if options.get("amp"):
        msg = 'trainer#amp: expected it to be left out, got True. Set autocast_dtype to "bfloat16" instead.'
        raise MedmdError(msg)
