"""Weights in files that cannot hold code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from medmd.utils import MedmdError, atomic_path

_MOST_NAMES = 8


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

    Raises:
        MedmdError: the file is absent or no safetensors file, or names or shapes differ; the text lists the tensors.
    """
    path = Path(path)
    _check_ending(path)
    state = _read(path)
    problems = _differences(module.state_dict(), state)
    if problems:
        msg = f"{path.name} does not fit this network: {'; '.join(problems)}. Was it trained with another description?"
        raise MedmdError(msg)
    module.load_state_dict(state)


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
    if not path.is_file():
        msg = f"{path.name}: no such file. Expected weights at {path}."
        raise MedmdError(msg)
    try:
        return load_file(path, device="cpu")
    except SafetensorError as error:
        msg = f"{path.name}: not a safetensors file ({error}). Write it again with save_weights."
        raise MedmdError(msg) from error


def _differences(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> list[str]:
    missing = sorted(set(expected) - set(found))
    unexpected = sorted(set(found) - set(expected))
    shapes = [
        f"{name} expected {_say(expected[name])}, got {_say(found[name])}"
        for name in sorted(set(expected) & set(found))
        if _say(expected[name]) != _say(found[name])
    ]
    named = {"missing": missing, "unexpected": unexpected, "different": shapes}
    return [f"{what}: {_some(names)}" for what, names in named.items() if names]


def _say(tensor: Tensor) -> str:
    # Precisions of a number may differ, a counter is no number with a fraction.
    kind = "float" if tensor.is_floating_point() else str(tensor.dtype).removeprefix("torch.")
    return f"{kind} {list(tensor.shape)}"


def _some(names: list[str]) -> str:
    rest = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {rest} more" if rest > 0 else "")
