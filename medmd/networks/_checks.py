"""Checks of what a configuration gives to an encoder and of what a batch feeds it."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from medmd.utils import MedmdError


def check_choice(key: str, value: object, choices: Sequence[object]) -> None:
    """Raise MedmdError unless `value` is one of `choices`."""
    if value not in choices:
        msg = f"{key}: expected one of {list(choices)}, got {value!r}."
        raise MedmdError(msg)


def check_positive(**values: object) -> None:
    """Raise MedmdError unless every value is an integer of at least 1."""
    for key, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            msg = f"{key}: expected an integer of at least 1, got {value!r}."
            raise MedmdError(msg)


def check_share(**values: float) -> None:
    """Raise MedmdError unless every value lies in [0, 1)."""
    for key, value in values.items():
        if not 0 <= value < 1:
            msg = f"{key}: expected a number in [0, 1), got {value!r}."
            raise MedmdError(msg)


def check_image(x: Tensor, *, channels: int, spatial_dims: int, minimum: int = 1) -> None:
    """Raise MedmdError unless `x` is (B, channels, *spatial) with at least `minimum` pixels an axis."""
    if x.ndim != spatial_dims + 2 or x.shape[1] != channels:
        axes = ", ".join(("slices", "rows", "columns")[-spatial_dims:])
        msg = f"expected shape (B, {channels}, {axes}), got {tuple(x.shape)}."
        raise MedmdError(msg)
    if any(size < minimum for size in x.shape[2:]):
        msg = f"expected at least {minimum} pixels on every axis, got {tuple(x.shape[2:])}. Raise the image size."
        raise MedmdError(msg)
