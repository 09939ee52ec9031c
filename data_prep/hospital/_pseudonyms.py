"""Names that say nothing without the key: of patients, of files, of cases."""

from __future__ import annotations

import hmac
import os
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from pathlib import Path

from medmd.utils import MedmdError

KEY_VARIABLE = "MEDMD_PSEUDONYM_KEY"
LEAST_BYTES = 16
# Sixteen hex digits: among a million patients two share a name once in 37 million conversions.
_DIGITS = 16
# Days are moved by up to a century, so that a moved day tells nothing of the year.
_MOST_DAYS = 36_524
_MAKE_ONE = 'python -c "import secrets; print(secrets.token_hex(32))" > pseudonym.key && chmod 600 pseudonym.key'


def read_key(key_file: Path | None) -> bytes:
    """The secret key, from a file or else from the environment variable `MEDMD_PSEUDONYM_KEY`.

    White space around it does not count. Keep it outside the export and the output, and keep it: the same key gives the
    same pseudonyms in a later export.

    Args:
        key_file: the file, or None.

    Raises:
        MedmdError: there is none, it cannot be read, or it is shorter than 16 bytes. The text never repeats it.
    """
    if key_file is None:
        key = os.fsencode(os.environ.get(KEY_VARIABLE, "")).strip()
        place = f"the environment variable {KEY_VARIABLE}"
    else:
        place = f"the key file {key_file}"
        try:
            key = key_file.read_bytes().strip()
        except OSError as error:
            msg = f"{place} cannot be read ({error.strerror}). Make one: {_MAKE_ONE}"
            raise MedmdError(msg) from None
    if not key and key_file is None:
        msg = (
            "No key for the pseudonyms: give --key-file FILE, or set "
            f"{KEY_VARIABLE}. Make one once, outside the export and the output: {_MAKE_ONE}"
        )
        raise MedmdError(msg)
    if len(key) < LEAST_BYTES:
        msg = f"{place}: expected at least {LEAST_BYTES} bytes, got {len(key)}. Make one: {_MAKE_ONE}"
        raise MedmdError(msg)
    return key


@dataclass(frozen=True)
class Pseudonyms:
    """Keyed digests (HMAC-SHA256), one domain for each kind of name, so that none can be told from another.

    Args:
        key: the secret.
    """

    key: bytes = field(repr=False)

    def patient(self, identifier: str) -> str:
        """16 hex digits for a patient's number.

        The number is trimmed and upper-cased first, since exports differ in both; leading zeros count, since some
        clinics give `0042` and `42` to two people.
        """
        return self._name("patient", identifier.strip().upper().encode("utf-8", "surrogatepass"))

    def pointer(self, place: str) -> str:
        """16 hex digits for a file's place in the export, a relative path with `/`."""
        return self._name("file", os.fsencode(place))

    def case(self, examination: str) -> str:
        """16 hex digits for the case of a visual field, given the name of its examination."""
        return self._name("case", examination.encode())

    def image(self, patient: str, content: str) -> str:
        """16 hex digits for an image of a patient: equal pixels of one patient have one name."""
        return self._name("image", f"{patient}|{content}".encode())

    def stamp(self, *facts: object) -> str:
        """16 hex digits that change when one of the facts does, such as a file's size and time."""
        return self._name("stamp", "|".join(map(str, facts)).encode())

    def moved(self, owner: str, day: date) -> int:
        """A day as a number, moved by a secret number of days that belongs to `owner`, a pseudonym or pointer."""
        return day.toordinal() + self._days(owner)

    def moved_to(self, day: int, old: str, new: str) -> int:
        """A moved day of one owner as a moved day of another."""
        return day - self._days(old) + self._days(new)

    @property
    def digest(self) -> str:
        """Tells this key from others and does not give it away."""
        return self._name("key", b"")

    def _days(self, owner: str) -> int:
        return int.from_bytes(self._mac("days", owner.encode())[:8], "big") % (2 * _MOST_DAYS + 1) - _MOST_DAYS

    def _name(self, domain: str, value: bytes) -> str:
        return self._mac(domain, value).hex()[:_DIGITS]

    def _mac(self, domain: str, value: bytes) -> bytes:
        return hmac.new(self.key, domain.encode() + b"|" + value, sha256).digest()
