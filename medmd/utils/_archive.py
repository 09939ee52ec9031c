"""The archive that `torch.save` writes, examined before anything in it is believed."""

from __future__ import annotations

import re
import stat
import struct
import zipfile
from pathlib import Path

from medmd.utils._errors import MedmdError

# Of some 30,000 members; a checkpoint of two ResNet-34 has 3,000.
MOST_DIRECTORY_BYTES = 4 << 20
_END = struct.Struct("<4s4H2LH")
# The folder bears the name of the file to which it was saved, or `archive`.
_MEMBER = re.compile(
    r"(?!\.\.?/)[\w.+ -]+/(data\.pkl|byteorder|version|\.format_version|\.storage_alignment"
    r"|data/\d{1,9}|\.data/serialization_id)"
)
_AGAIN = "Do not use it; write it again with medmd, or get it again from where it was made."


def regular_file(path: str | Path, *, role: str, most_bytes: int | None = None) -> int:
    """The size of an ordinary file (bytes), without opening it.

    Args:
        path: of the file.
        role: what the file is to us, for the message.
        most_bytes: the largest size that such a file can have.

    Raises:
        MedmdError: it is absent, a symbolic link, a device or a pipe, or too large.
    """
    path = Path(path)
    try:
        found = path.lstat()
    except FileNotFoundError as error:
        msg = f"{path.name} ({role}): no such file. Expected {role} at {path}."
        raise MedmdError(msg) from error
    if not stat.S_ISREG(found.st_mode):
        kind = "a symbolic link" if stat.S_ISLNK(found.st_mode) else "a folder, a device or a pipe"
        raise refused(path, role, "an ordinary file", kind, "Put the file itself there.")
    if most_bytes is not None and found.st_size > most_bytes:
        raise refused(path, role, f"at most {most_bytes} bytes", f"{found.st_size} bytes")
    return found.st_size


def refused(path: Path, role: str, expected: str, got: str, fix: str = _AGAIN) -> MedmdError:
    """The error for a file that is not what it should be, all in one form."""
    return MedmdError(f"{path.name} ({role}) is refused: expected {expected}, got {got}. {fix}")


def archive_members(path: str | Path, *, role: str) -> dict[str, int] | None:
    """Names (below the archive's one folder) and sizes of what `torch.save` put into a file.

    Only the archive's directory is read, at most 4 MiB. The members of a sound file are stored as they are, hence
    their sizes are bounded by the file's.

    Returns:
        Sizes in bytes by name, for example `data.pkl` and `data/0`; `None` when the file is damaged or no archive.

    Raises:
        MedmdError: the archive is whole and holds what `torch.save` does not write: compressed, encrypted, repeated or
            overlapping members, or names that lead out of it.
    """
    path = Path(path)
    size = regular_file(path, role=role)
    if not _has_frame(path, size, role):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, struct.error):
        return None
    for member in members:
        _check_member(path, role, member)
    _check_together(path, role, members, size)
    return {member.filename.split("/", 1)[1]: member.file_size for member in members}


def archive_is_whole(path: str | Path, *, role: str) -> bool:
    """Whether every member has the checksum that the archive gives it; `MedmdError` as `archive_members`."""
    if archive_members(path, role=role) is None:
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError):
        return False


def _has_frame(path: Path, size: int, role: str) -> bool:
    """Whether the first and the last bytes are those of an archive without a comment or anything around it."""
    if size < _END.size:
        return False
    with path.open("rb") as file:
        beginning = file.read(4)
        file.seek(size - _END.size)
        signature, _, _, _, _, directory_bytes, _, comment = _END.unpack(file.read(_END.size))
    if beginning != b"PK\x03\x04" or signature != b"PK\x05\x06" or comment:
        return False
    if directory_bytes > MOST_DIRECTORY_BYTES:
        raise refused(path, role, f"a directory of at most {MOST_DIRECTORY_BYTES} bytes", f"{directory_bytes} bytes")
    return True


def _check_member(path: Path, role: str, member: zipfile.ZipInfo) -> None:
    if not _MEMBER.fullmatch(member.orig_filename):
        raise refused(path, role, "the names that torch.save gives", f"a member named {member.orig_filename[:80]!r}")
    if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
        got = f"{member.filename!r} of {member.compress_size} bytes that claims {member.file_size}"
        raise refused(path, role, "members that are stored as they are", got)
    if member.flag_bits & 0x1:
        raise refused(path, role, "members without a password", f"{member.filename!r}, encrypted")


def _check_together(path: Path, role: str, members: list[zipfile.ZipInfo], size: int) -> None:
    if len({member.filename.split("/", 1)[0] for member in members}) != 1:
        raise refused(path, role, "one folder in the archive", "none or several")
    if len({member.filename for member in members}) != len(members):
        raise refused(path, role, "each member once", "a repeated name")
    total = sum(member.file_size for member in members)
    if total > size:
        raise refused(path, role, f"members of at most {size} bytes, the file's size", f"{total} bytes")
