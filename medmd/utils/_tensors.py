"""Tensors, numbers and texts from a file of `torch.save`, without code and in bounded memory."""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medmd.utils._archive import archive_members, refused
from medmd.utils._errors import MedmdError
from medmd.utils._opcodes import GlobalName, read_pickle

if TYPE_CHECKING:
    from torch import Tensor

_LOGGER = logging.getLogger(__name__)
# A checkpoint of two ResNet-34 has some 300 kB.
MOST_STRUCTURE_BYTES = 4 << 20
# Bytes of one number by the storage that holds it.
_STORAGES = {
    "DoubleStorage": 8, "FloatStorage": 4, "HalfStorage": 2, "BFloat16Storage": 2, "LongStorage": 8, "IntStorage": 4,
    "ShortStorage": 2, "CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1,
}  # fmt: skip
# Fewer than `weights_only=True` allows: among its names are some that make tensors or bytes of any size out of nothing.
_NAMES = {
    "collections.OrderedDict", "collections.Counter", "torch.Size", "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_parameter", *(f"torch.{name}" for name in _STORAGES),
}  # fmt: skip
_WRONG_STATE = (AttributeError, IndexError, KeyError, TypeError, ValueError, RuntimeError)


def load_tensors(path: str | Path, *, role: str, mmap: bool = False) -> dict[str, Any]:
    """Load what `torch.save` wrote: a dictionary of tensors, numbers, texts and containers of those.

    Before torch sees the file, its archive, the instructions of its pickle and the size of each storage are verified.
    A file that passes needs at most three times its size in memory, 300 MiB aside.

    Args:
        path: the file.
        role: what the file is to us, for the message, for example `checkpoint`.
        mmap: map the file into memory, which spares memory for what is not used; the file must stay as it is.

    Returns:
        The dictionary, its tensors on the CPU.

    Raises:
        MedmdError: the file is absent, damaged, no ordinary file, names code, claims what it does not hold, or is no
            dictionary.
    """
    state = _load(Path(path), role, mmap=mmap)
    if not isinstance(state, dict):
        raise refused(Path(path), role, "a dictionary", type(state).__name__)
    _check_tensors(Path(path), role, state)
    return state


def load_tensor(path: str | Path, *, role: str) -> Tensor:
    """Load one tensor that `torch.save` wrote, with the care of `load_tensors`.

    Raises:
        MedmdError: as there, or the file holds anything but one tensor.
    """
    import torch

    state = _load(Path(path), role, mmap=False)
    if not isinstance(state, torch.Tensor):
        raise refused(Path(path), role, "one tensor", type(state).__name__)
    _check_tensors(Path(path), role, {"tensor": state})
    return state


def _load(path: Path, role: str, *, mmap: bool) -> Any:
    import torch

    members = archive_members(path, role=role)
    if members is None:
        raise refused(path, role, "a whole file of torch.save", "a damaged file or one of another kind")
    _check_structure(path, role, members)
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except (*_WRONG_STATE, EOFError) as error:
        raise refused(path, role, "tensors, numbers and texts", _first_line(error)) from error
    except Exception as error:
        # torch raises pickle.UnpicklingError, which has no other common base; importing pickle is not worth it.
        if type(error).__name__ != "UnpicklingError":
            raise
        raise refused(path, role, "tensors, numbers and texts", _first_line(error)) from error


def restore(item: Any, state: Any, *, name: str, role: str) -> None:
    """`item.load_state_dict(state)`, with what does not fit told as the user's error.

    Raises:
        MedmdError: the state has other types, names, or shapes than `item`.
    """
    try:
        item.load_state_dict(state)
    except MedmdError:
        raise
    except _WRONG_STATE as error:
        msg = (
            f"The {role} does not fit: {name} expected a state of {type(item).__name__}, got {type(state).__name__} "
            f"({type(error).__name__}: {_first_line(error)}). Start anew, or use the {role} of this configuration."
        )
        raise MedmdError(msg) from error


def check_fields(state: Mapping[str, Any], fields: Mapping[str, type], *, path: str | Path, role: str) -> None:
    """Whether each field is there and of its type; a truth value is no number.

    Raises:
        MedmdError: one is not.
    """
    for name, kind in fields.items():
        value = state.get(name)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise refused(Path(path), role, f"{name} of type {kind.__name__}", type(value).__name__)


def warn_of_bad_numbers(tensors: Mapping[str, Any], *, role: str) -> int:
    """Log how many of these tensors hold NaN or infinite numbers.

    Returns:
        How many.
    """
    bad = [name for name, tensor in tensors.items() if _is_bad(tensor)]
    if bad:
        _LOGGER.warning(
            "%s: %d of %d tensors hold numbers that are not finite (%s …). Predictions would be meaningless.",
            role, len(bad), len(tensors), bad[0],
        )  # fmt: skip
    return len(bad)


def _is_bad(tensor: Any) -> bool:
    import torch

    floating = isinstance(tensor, torch.Tensor) and tensor.is_floating_point()
    return floating and not bool(torch.isfinite(tensor).all())


def _check_structure(path: Path, role: str, members: Mapping[str, int]) -> None:
    size = members.get("data.pkl", 0)
    if not 0 < size <= MOST_STRUCTURE_BYTES:
        raise refused(path, role, f"a structure (data.pkl) of 1 to {MOST_STRUCTURE_BYTES} bytes", f"{size}")
    try:
        with zipfile.ZipFile(path) as archive:
            name = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
            instructions = archive.read(name)
        if not instructions.startswith(b"\x80\x02"):
            raise refused(path, role, "a structure of protocol 2, as torch.save writes it", "another protocol")
        content = read_pickle(instructions)
    except (ValueError, zipfile.BadZipFile, EOFError) as error:
        raise refused(path, role, "a structure that can be read", _first_line(error)) from error
    foreign = [name for name in content.names if name not in _NAMES]
    if foreign:
        raise refused(path, role, "tensors, numbers and texts alone", f"a file that calls {foreign[0][:80]!r}")
    for identity in content.persistent:
        _check_storage(path, role, members, identity)


def _check_storage(path: Path, role: str, members: Mapping[str, int], identity: Any) -> None:
    """A storage must claim no more than its member holds; torch would take the memory first."""
    kind, key, count = _storage(identity)
    width = _STORAGES.get(kind.removeprefix("torch."))
    if width is None or count is None:
        raise refused(path, role, "storages as torch.save writes them", str(identity)[:80])
    held = members.get(f"data/{key}")
    if held != width * count:
        raise refused(path, role, f"{width * count} bytes in data/{key}, as it claims", f"{held or 0}")


def _storage(identity: Any) -> tuple[str, str, int | None]:
    """Kind, key and count of numbers of `("storage", kind, key, device, count)`."""
    if not isinstance(identity, tuple) or len(identity) != 5 or identity[0] != "storage":
        return "", "", None
    _, kind, key, _, count = identity
    known = isinstance(kind, GlobalName) and isinstance(key, str) and isinstance(count, int) and count >= 0
    return (kind.text, key, count) if known else ("", "", None)


def _check_tensors(path: Path, role: str, state: Any) -> None:
    for name, tensor in _tensors(state, ""):
        claimed, held = tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes()
        if claimed > held:
            raise refused(path, role, f"{name} to fill its {held} bytes once", f"a shape of {claimed} bytes")


def _tensors(root: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    """Every tensor with its place; a loop and not a recursion, and each container once, however it is shared."""
    import torch

    waiting, seen = [(name, root)], set()
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, torch.Tensor):
            yield place, value
        elif isinstance(value, (dict, list, tuple, set)) and id(value) not in seen:
            seen.add(id(value))
            entries = value.items() if isinstance(value, dict) else enumerate(value)
            waiting.extend((f"{place}.{key}" if place else str(key), entry) for key, entry in entries)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
