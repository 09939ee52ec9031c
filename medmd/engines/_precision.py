"""Autocast that works on the CPU too: MONAI's `amp=True` silently computes in float32 there."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

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
    return torch.autocast(device.type, dtype=_DTYPES[dtype])
