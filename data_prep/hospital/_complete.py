"""From what files and tables say to examinations that can be paired, and what became of every file."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from data_prep._report import Tally
from data_prep.hospital._facts import Examination, Scanned
from data_prep.hospital._pseudonyms import Pseudonyms
from data_prep.hospital._scan import facts_of, years

if TYPE_CHECKING:
    from data_prep.hospital._tables import ImageFacts, ImageRow, Row

QUARANTINED = "quarantined"
_WORDS = (
    "kind",
    "patient",
    "laterality",
    "sex",
    "device",
    "source_format",
    "region",
    "scan_pattern",
    "pattern",
    "strategy",
)
_LISTS = ("shape", "spacing", "warnings")
# What a table may say of an image where the file says nothing; a difference in patient, eye or day is a contradiction.
_FROM_TABLE = ("region", "scan_pattern", "signal", "field_of_view")


@dataclass
class Ledger:
    """Every file and every examination that came in.

    Args:
        files: pointer -> why the file as a whole is set aside, or None.
        details: pointer or name -> what exactly was found, in words of the program.
        fixes: reason -> what a reader says can be done about it.
        examinations: those that can be paired.
        refused: name of an examination that cannot -> why.
        file_of: name of an examination -> pointer of its file.
        parts: pointers of files that were read as a part of another, such as the slices beside an XML.
        tables_used: pointers of the tables that said something of an image.
        rows: what became of the rows of tables of images.
    """

    files: dict[str, str | None] = field(default_factory=dict)
    details: dict[str, str] = field(default_factory=dict)
    fixes: dict[str, str] = field(default_factory=dict)
    examinations: list[Examination] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    file_of: dict[str, str] = field(default_factory=dict)
    parts: set[str] = field(default_factory=set)
    tables_used: set[str] = field(default_factory=set)
    rows: Tally = field(default_factory=lambda: Tally("rows of image tables", 0, word=QUARANTINED))

    def set_aside(self, pointer: str, reason: str, *, detail: str = "", fix: str = "") -> None:
        """Note a file of which nothing is used."""
        self.files[pointer] = reason
        self.explain(pointer, reason, detail=detail, fix=fix)

    def explain(self, item: str, reason: str, *, detail: str, fix: str) -> None:
        """Note what was found, and what can be done about it."""
        if detail:
            self.details[item] = detail
        if fix:
            self.fixes.setdefault(reason, fix)

    def add(self, facts: Mapping[str, Any], *, pointer: str, name: str) -> None:
        """Note an examination of a file, usable or not.

        Args:
            facts: named as in `Examination`; a `reason` says why it cannot be used.
            pointer: of the file.
            name: pointer of the examination: the file's, or that of a table's row.
        """
        full = f"{name}-{facts['key']}" if facts["key"] else name
        self.file_of[full] = pointer
        missing = [f"{what}-missing" for what in ("patient", "laterality", "day") if facts[what] is None]
        reason = facts.get("reason") or next(iter(missing), None)
        if reason:
            self.refused[full] = reason
            return
        values: dict[str, Any] = {key: _small(key, value) for key, value in facts.items()}
        self.examinations.append(Examination(pointer=name, **values))

    def refuse(self, name: str, reason: str) -> None:
        """Take an examination out."""
        self.examinations = [each for each in self.examinations if each.name != name]
        self.refused[name] = reason


class ImageRows:
    """What tables say of images, by the images' pointers.

    Args:
        rows: of all tables of images.
        tables: place of a table -> pointer.
        pseudonyms: makers of names.
    """

    def __init__(self, rows: Iterable[ImageRow], tables: Mapping[str, str], pseudonyms: Pseudonyms) -> None:
        self._rows = [(pseudonyms.pointer(row.place), row) for row in rows]
        self._tables, self._used = tables, set[str]()
        self._by_image = {pseudonyms.pointer(row.file): row for _, row in self._rows if row.file is not None}

    def find(self, pointer: str) -> ImageRow | None:
        """The row about an image, which counts as used."""
        row = self._by_image.get(pointer)
        if row is not None:
            self._used.add(row.place)
        return row

    def close(self, ledger: Ledger) -> None:
        """Enter what became of every row."""
        from medmd.io import RefusedError

        ledger.rows.total = len(self._rows)
        for name, row in self._rows:
            table = self._tables[row.place.rpartition("#")[0]]
            if isinstance(row.found, RefusedError):
                ledger.rows.exclude(row.found.reason, name)
                ledger.explain(name, row.found.reason, detail=row.found.detail, fix=row.found.fix)
            elif row.place in self._used:
                ledger.rows.merged += 1
                ledger.tables_used.add(table)
            else:
                ledger.rows.exclude("row-image-refused", name)


def take_files(ledger: Ledger, scanned: Iterable[Scanned], rows: ImageRows, pseudonyms: Pseudonyms) -> None:
    """Enter what was read from files, completed from tables of images.

    Args:
        ledger: to enter it in.
        scanned: every file that was read.
        rows: what tables say.
        pseudonyms: makers of names.
    """
    for each in scanned:
        if each.reason is not None:
            ledger.set_aside(each.pointer, each.reason, detail=each.detail, fix=each.fix)
            continue
        ledger.files[each.pointer] = None if each.examinations else "no-examination"
        ledger.parts.update(each.parts)
        for facts in each.examinations:
            ledger.add(_with_row(facts, each.pointer, rows, pseudonyms), pointer=each.pointer, name=each.pointer)


def take_row(ledger: Ledger, row: Row, *, pointer: str, pseudonyms: Pseudonyms) -> None:
    """Enter a row of a table of visual fields.

    Args:
        ledger: to enter it in.
        row: of the table.
        pointer: of the table.
        pseudonyms: makers of names.
    """
    from medmd.io import RefusedError

    name, found = pseudonyms.pointer(row.place), row.found
    if isinstance(found, RefusedError):
        ledger.file_of[name] = pointer
        ledger.refused[name] = found.reason
        ledger.explain(name, found.reason, detail=found.detail, fix=found.fix)
    else:
        ledger.add(facts_of(found, key="", owner=name, pseudonyms=pseudonyms), pointer=pointer, name=name)


def completed(facts: Mapping[str, Any], row: ImageFacts, owner: str, pseudonyms: Pseudonyms) -> dict[str, Any]:
    """Facts of an image with what a table adds; a contradiction between the two is a reason not to use it.

    Args:
        facts: as read from the file.
        row: what the table says.
        owner: pointer of the file, by which a day without a patient was moved.
        pseudonyms: makers of names.
    """
    subject = row.subject
    patient = pseudonyms.patient(str(subject.identifier))
    day = facts["day"]
    if day is not None and facts["patient"] is None:
        day = pseudonyms.moved_to(day, owner, patient)
    told = {"patient": patient, "laterality": row.laterality, "day": pseudonyms.moved(patient, row.acquired)}
    found = {**facts, "day": day}
    if any(found[key] not in (None, value) for key, value in told.items()):
        return {**facts, "reason": "table-contradicts"}
    if row.kind is not None and row.kind != facts["kind"]:
        return {**facts, "reason": "kind-contradicts"}
    age, sex = years(subject, row.acquired), subject.sex
    added = {"age": age if facts["age"] is None else facts["age"], "sex": facts["sex"] or sex}
    more = {key: getattr(row, key) for key in _FROM_TABLE if key in facts and facts[key] is None}
    return {**found, **told, **added, **more}


def _small(key: str, value: Any) -> Any:
    """A fact in little memory: all examinations are held at once, and most of their words are the same few."""
    if key in _LISTS:
        return tuple(value)
    if key in _WORDS and value is not None:
        return sys.intern(value)
    return {sys.intern(name): number for name, number in value.items()} if key == "quality" else value


def _with_row(facts: dict[str, Any], pointer: str, rows: ImageRows, pseudonyms: Pseudonyms) -> dict[str, Any]:
    from medmd.io import RefusedError

    row = rows.find(pointer)
    if row is None:
        return facts
    if isinstance(row.found, RefusedError):
        # What the file says itself is enough, or the row's fault is the reason that it is not.
        lacks = any(facts[what] is None for what in ("patient", "laterality", "day"))
        return {**facts, "reason": row.found.reason} if lacks else facts
    return completed(facts, row.found, pointer, pseudonyms)
