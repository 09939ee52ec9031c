"""What else lies in a bundle: programs, pickles, arrays with pickles in them, packed files."""

from __future__ import annotations

import ast
import struct
import zipfile
from collections.abc import Iterator
from typing import BinaryIO

from medmd.audit._entries import ALLOWED, FINDING, NOTE, UNREADABLE, Entry
from medmd.audit._names import rules
from medmd.audit._source import Member
from medmd.utils import read_pickle

CODE = (
    ".py", ".pyc", ".pyo", ".pyd", ".pyw", ".so", ".dll", ".dylib", ".sh", ".bash", ".bat", ".cmd", ".ps1", ".exe",
    ".ipynb", ".jar", ".whl", ".egg",
)  # fmt: skip
_PICKLES = (".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin", ".ts", ".pt2", ".dill", ".joblib", ".sav", ".model")
_MOST_PICKLE = 32 << 20
_MOST_ARRAY_HEADER = 64 << 10
_OLD_TORCH = 0x1950A86A20F9469CFC6C
_NOT_LOOKED_AT = "packed files, which were not looked at; unpack and audit them"
_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"Rar!", b"7z\xbc\xaf", b"\x28\xb5\x2f\xfd")


def file_entries(member: Member) -> Iterator[Entry]:
    """What is told of one file that is no configuration; nothing for what is inert, such as an image."""
    name = member.name.lower()
    if name.endswith(CODE):
        yield Entry(FINDING, "code", member.name, reason="a program: it runs when something imports or starts it")
        return
    beginning = member.read(16)
    try:
        if beginning.startswith(b"PK\x03\x04"):
            yield from _zip_entries(member)
        elif beginning.startswith(b"\x93NUMPY"):
            with member.open() as stream:
                yield from _array_entries(member.name, stream)
        elif (beginning[:1] == b"\x80" and beginning[1:2] in b"\x02\x03\x04\x05") or name.endswith(_PICKLES):
            yield from _bare_pickle(member, is_sure=beginning[:1] == b"\x80")
        elif _is_packed(beginning, name):
            yield Entry(FINDING, "file", member.name, reason=_NOT_LOOKED_AT)
    except (ValueError, SyntaxError, KeyError, zipfile.BadZipFile, EOFError, RuntimeError) as error:
        yield Entry(UNREADABLE, "file", member.name, reason=" ".join(str(error).split())[:200])


def _zip_entries(member: Member) -> Iterator[Entry]:
    """A zip: of torch, of numpy, or of anything else."""
    with member.open() as stream, zipfile.ZipFile(stream) as archive:
        names = archive.namelist()
        pickles = [name for name in names if name.endswith(".pkl")]
        arrays = [name for name in names if name.endswith(".npy")]
        if any("/code/" in name or name.endswith(".py") for name in names):
            yield Entry(FINDING, "code", member.name, reason="TorchScript or an export: it holds a program")
        for name in pickles:
            yield from _pickle_entries(member.name, name, _bounded(archive, name))
        for name in arrays:
            with archive.open(name) as array:
                yield from _array_entries(f"{member.name}/{name}", array)  # type: ignore[arg-type]
        if not pickles and not arrays:
            yield Entry(FINDING, "file", member.name, reason=_NOT_LOOKED_AT)


def _bounded(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as stream:
        content = stream.read(_MOST_PICKLE + 1)
    if len(content) > _MOST_PICKLE:
        msg = f"{name} is larger than {_MOST_PICKLE} bytes"
        raise ValueError(msg)
    return content


def _pickle_entries(file: str, where: str, content: bytes) -> Iterator[Entry]:
    yield from _named(file, where, read_pickle(content).names)


def _named(file: str, where: str, names: list[str]) -> Iterator[Entry]:
    allowed = rules()["pickle_names"]
    foreign = [name for name in dict.fromkeys(names) if name not in allowed]
    for name in foreign:
        reason = "unpickling calls it" if name != "?" else "unpickling calls what is named only then"
        yield Entry(FINDING, "pickle", file, where, text=name, reason=reason)
    if not foreign:
        yield Entry(ALLOWED, "pickle", file, where, text="tensors, numbers and texts")


def _bare_pickle(member: Member, *, is_sure: bool) -> Iterator[Entry]:
    """A pickle that is the whole file; torch's old format is five in a row, then the numbers."""
    with member.open() as stream:
        try:
            first = read_pickle(stream)
        except ValueError:
            if is_sure:
                raise
            yield Entry(NOTE, "file", member.name, reason="no pickle, in spite of its ending; it was not looked at")
            return
        names = list(first.names)
        if _is_old_torch(member):
            for _ in range(4):
                names += read_pickle(stream).names
        yield from _named(member.name, "", names)


def _is_old_torch(member: Member) -> bool:
    return _OLD_TORCH.to_bytes(10, "little") in member.read(32)


def _array_entries(name: str, stream: BinaryIO) -> Iterator[Entry]:
    """An array of numpy holds pickles when the kind of its elements is an object."""
    version = stream.read(8)[6:7]
    form, width = ("<H", 2) if version == b"\x01" else ("<I", 4)
    (length,) = struct.unpack(form, stream.read(width).ljust(width, b"\0"))
    header = stream.read(min(length, _MOST_ARRAY_HEADER)).decode("latin-1").strip()
    kind = str(ast.literal_eval(header)["descr"]) if length <= _MOST_ARRAY_HEADER and header.startswith("{") else "O"
    if "O" in kind:
        yield Entry(FINDING, "pickle", name, text=kind[:80], reason="an array of Python objects: reading it unpickles")


def _is_packed(beginning: bytes, name: str) -> bool:
    is_image_or_table = name.endswith((".nii.gz", ".csv.gz"))
    return not is_image_or_table and (beginning.startswith(_PACKED) or name.endswith((".tar", ".tgz", ".gz")))
