"""From a plain JSON description to a network, without evaluating anything."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from medmd.networks._classifier import MultimodalClassifier
from medmd.networks._cross_conv import CrossConvRegressor
from medmd.networks._densenet import DenseNetEncoder
from medmd.networks._efficientnet_lite import EfficientNetLiteEncoder
from medmd.networks._egvfi import Egvfi3dEncoder
from medmd.networks._evidential import EvidentialRegressor
from medmd.networks._multi_expert import MultiExpertRegressor
from medmd.networks._multimodal import MultimodalNetwork
from medmd.networks._multitask import MultitaskNetwork
from medmd.networks._regressor import MultimodalRegressor
from medmd.networks._resnet import ResNetEncoder, SliceChannelEncoder
from medmd.networks._small_cnn import SmallCnnEncoder
from medmd.networks._vector import VectorEncoder
from medmd.networks._vit import ViTEncoder
from medmd.utils import MedmdError

_PREFIX = "medmd.networks."
_ENCODERS: dict[str, type[nn.Module]] = {
    f"{_PREFIX}{kind.__name__}": kind
    for kind in (
        DenseNetEncoder,
        EfficientNetLiteEncoder,
        Egvfi3dEncoder,
        ResNetEncoder,
        SliceChannelEncoder,
        SmallCnnEncoder,
        VectorEncoder,
        ViTEncoder,
    )
}
_NETWORKS: dict[str, type[MultimodalNetwork]] = {
    f"{_PREFIX}{kind.__name__}": kind
    for kind in (
        CrossConvRegressor,
        EvidentialRegressor,
        MultiExpertRegressor,
        MultimodalClassifier,
        MultimodalRegressor,
        MultitaskNetwork,
    )
}
# What a description from elsewhere may ask for before a machine runs out of memory or patience.
_LARGEST_NUMBER = 8192
_LONGEST = 32
_MOST_PARAMETERS = 1_000_000_000
_WRONG_ARGUMENTS = (TypeError, ValueError, RuntimeError, AttributeError, IndexError, KeyError, ArithmeticError)


def build_network(
    description: Mapping[str, Any], *, load_pretrained: bool = True, most_parameters: int = _MOST_PARAMETERS
) -> MultimodalNetwork:
    """Build the network that `description` describes.

    The form is that of a MONAI configuration, so the same text works in a bundle, but nothing is evaluated or
    imported: `_target_` is looked up in a fixed list, and everything else must be a literal.

    Args:
        description: `{"_target_": "medmd.networks.MultimodalRegressor", "encoders": {name: {"_target_": ..., ...}}}`;
            a `MultimodalClassifier` names its `classes` too, a `MultitaskNetwork` its `tasks`.
        load_pretrained: False builds every encoder with `pretrained` false, for weights that are loaded afterwards.
        most_parameters: the largest network to build, for one whose weights are there already.

    Raises:
        MedmdError: a target outside the list, a value that is no literal or begins with `$`, `@` or `%`, an argument
            that a constructor does not take, or a network of more parameters than allowed, 10**9 by default.
    """
    _check_literals(description, "network")
    arguments = _arguments(description, "network", _NETWORKS)
    kind = _NETWORKS[description["_target_"]]
    encoders = arguments.pop("encoders", None)
    if not isinstance(encoders, Mapping):
        msg = "network#encoders: expected an object with one entry a modality."
        raise MedmdError(msg)
    # Tensors on the meta device have shapes but no memory, so the size is known before it is paid for.
    with torch.device("meta"):
        size = sum(p.numel() for p in _assemble(kind, encoders, arguments, load_pretrained=False).parameters())
    most = min(most_parameters, _MOST_PARAMETERS)
    if size > most:
        msg = f"network: {size} parameters; expected at most {most}."
        raise MedmdError(msg)
    return _assemble(kind, encoders, arguments, load_pretrained=load_pretrained)


def _assemble(
    kind: type[MultimodalNetwork], encoders: Mapping[str, Any], arguments: dict[str, Any], *, load_pretrained: bool
) -> MultimodalNetwork:
    built = {}
    for name, part in encoders.items():
        path = f"network#encoders#{name}"
        given = _arguments(part, path, _ENCODERS)
        if not load_pretrained and "pretrained" in given:
            given["pretrained"] = False
        built[name] = _construct(_ENCODERS[part["_target_"]], given, path)
    return _construct(kind, {"encoders": built, **arguments}, "network")


def _arguments(part: Any, path: str, targets: Mapping[str, type]) -> dict[str, Any]:
    target = part.get("_target_") if isinstance(part, Mapping) else None
    if not isinstance(target, str) or target not in targets:
        msg = f"{path}#_target_: expected one of {sorted(targets)}, got {target!r}."
        raise MedmdError(msg)
    return {key: value for key, value in part.items() if key != "_target_"}


def _construct(kind: type, arguments: dict[str, Any], path: str) -> Any:
    try:
        inspect.signature(kind).bind(**arguments)
        return kind(**arguments)
    except _WRONG_ARGUMENTS as error:
        msg = f"{path}: {error}"
        raise MedmdError(msg) from error


def _check_literals(value: Any, path: str, depth: int = 0) -> None:
    if isinstance(value, Mapping | list | tuple):
        if len(value) > _LONGEST or depth > 5:
            msg = f"{path}: expected at most {_LONGEST} entries and 5 levels."
            raise MedmdError(msg)
        for key, entry in value.items() if isinstance(value, Mapping) else enumerate(value):
            _check_key(key, path)
            _check_literals(entry, f"{path}#{key}", depth + 1)
    elif not _is_literal(value):
        msg = (
            f"{path}: expected a plain word, true, false, null or a number up to {_LARGEST_NUMBER}, got "
            f"{str(value)[:80]!r}. References and expressions are not evaluated here."
        )
        raise MedmdError(msg)


def _check_key(key: Any, path: str) -> None:
    if isinstance(key, int) or (
        isinstance(key, str) and (key == "_target_" or not key.startswith(("_", "$", "@", "+")))
    ):
        return
    msg = f"{path}: the key {key!r} is not allowed here. Expected names of arguments and '_target_'."
    raise MedmdError(msg)


def _is_literal(value: Any) -> bool:
    if value is None or isinstance(value, bool):
        return True
    if isinstance(value, int | float):
        return math.isfinite(value) and abs(value) <= _LARGEST_NUMBER
    return isinstance(value, str) and not any(sign in value for sign in "$@%")
