"""Weights in files that cannot hold code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from medmd.utils import (
    MedmdError,
    StoredTensor,
    atomic_path,
    read_safetensors_header,
    refused,
    regular_file,
    warn_of_bad_numbers,
)

_MOST_NAMES = 8
_ROLE = "weights"
_KINDS = {"I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool"}


def save_weights(module: nn.Module, path: str | Path) -> None:
    """Write the parameters and buffers of `module` to a safetensors file, atomically.

    The same weights give the same bytes. Tensors that share memory are written once each.

    Raises:
        MedmdError: the path does not end in .safetensors.
    """
    _check_ending(Path(path))
    # One key only: with more, the library writes the header in a random order.
    with atomic_path(path) as temporary:
        save_file(_separate(module.state_dict()), temporary, metadata={"format": "pt"})


def load_weights(module: nn.Module, path: str | Path) -> None:
    """Read a safetensors file into `module`; on any difference nothing is changed.

    What the file claims to hold is compared with the network before a tensor is read, so that reading takes no more
    memory than twice that of the network's weights. Numbers that are not finite are loaded and logged as a warning.

    Raises:
        MedmdError: the file is absent, no ordinary file or no safetensors file, or names or shapes differ; the text
            lists the tensors.
    """
    path = Path(path)
    _check_ending(path)
    regular_file(path, role=_ROLE)
    problems = _differences(module.state_dict(), read_safetensors_header(path, role=_ROLE))
    if problems:
        msg = f"{path.name} does not fit this network: {'; '.join(problems)}. Was it trained with another description?"
        raise MedmdError(msg)
    state = _read(path)
    module.load_state_dict(state)
    warn_of_bad_numbers(state, role=_ROLE)


def _check_ending(path: Path) -> None:
    if path.suffix != ".safetensors":
        msg = f"{path.name}: expected a file that ends in .safetensors; other weight files can run code when loaded."
        raise MedmdError(msg)


def _separate(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    separate: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in state.items():
        memory = tensor.untyped_storage().data_ptr()
        plain = tensor.detach().contiguous()
        separate[name] = plain.clone() if memory in seen else plain
        seen.add(memory)
    return separate


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path, device="cpu")
    except SafetensorError as error:
        raise refused(path, _ROLE, "a safetensors file", str(error)) from error


def _differences(expected: Mapping[str, Tensor], found: Mapping[str, StoredTensor]) -> list[str]:
    missing = sorted(set(expected) - set(found))
    unexpected = sorted(set(found) - set(expected))
    shapes = [
        f"{name} expected {_say(expected[name])}, got {_say_stored(found[name])}"
        for name in sorted(set(expected) & set(found))
        if _say(expected[name]) != _say_stored(found[name])
    ]
    named = {"missing": missing, "unexpected": unexpected, "different": shapes}
    return [f"{what}: {_some(names)}" for what, names in named.items() if names]


def _say(tensor: Tensor) -> str:
    # Precisions of a number may differ, a counter is no number with a fraction.
    kind = "float" if tensor.is_floating_point() else str(tensor.dtype).removeprefix("torch.")
    return f"{kind} {list(tensor.shape)}"


def _say_stored(tensor: StoredTensor) -> str:
    return f"{_KINDS.get(tensor.kind, 'float')} {list(tensor.shape)}"


def _some(names: list[str]) -> str:
    rest = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {rest} more" if rest > 0 else "")
