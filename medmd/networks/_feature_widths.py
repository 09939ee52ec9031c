"""What the multimodal regressor asks of its encoders and of their names."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import nn

from medmd.utils import MedmdError

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def feature_widths(encoders: Mapping[str, nn.Module]) -> dict[str, int]:
    """By modality the length of its feature, after checking that names and encoders can be used.

    Raises:
        MedmdError: no encoder, or a name that cannot be used.
        TypeError: an encoder that is no module or has no integer `out_features`.
        ValueError: one encoder for two modalities.
    """
    if not encoders:
        msg = "encoders: expected at least one modality, got none."
        raise MedmdError(msg)
    seen: dict[int, str] = {}
    for name, encoder in encoders.items():
        _check_name(name)
        if not isinstance(encoder, nn.Module) or not isinstance(getattr(encoder, "out_features", None), int):
            msg = (
                f"encoders#{name}: expected a torch module with an integer out_features, got {type(encoder).__name__}."
            )
            raise TypeError(msg)
        for parameter in encoder.parameters():
            other = seen.setdefault(id(parameter), name)
            if other != name:
                msg = f"encoders#{name}: shares parameters with {other!r}. Expected one encoder a modality."
                raise ValueError(msg)
    return {name: int(encoder.out_features) for name, encoder in encoders.items()}  # type: ignore[arg-type]


def _check_name(name: object) -> None:
    taken = isinstance(name, str) and (hasattr(nn.ModuleDict, name) or hasattr(nn.ParameterDict, name))
    if not isinstance(name, str) or not _NAME.fullmatch(name) or taken or name == "present":
        msg = (
            f"encoders: {name!r} cannot name a modality. Expected letters, digits and underscores, beginning with a "
            "letter, and no word that torch modules use themselves; for example 'oct' or 'fundus'."
        )
        raise MedmdError(msg)
