"""Tables of visual fields, and of facts on images whose files carry none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple, TypeVar, cast

from data_prep.hospital._site import SiteConfig
from data_prep.hospital._site_sections import Table
from data_prep.hospital._tables_cells import (
    UnclearError,
    read_age,
    read_day,
    read_identifier,
    read_number,
    read_share,
    read_word,
)
from data_prep.hospital._tables_rows import files_below, records, table_files
from medmd.io import Laterality, RefusedError, Region, Subject, VisualField
from medmd.utils import MedmdError

__all__ = ["ImageFacts", "ImageRow", "Row", "image_facts", "image_rows", "table_fields", "table_places"]

_Found = TypeVar("_Found")
_FORMAT = "table"
_WHERE = "The row is in the table whose pointer stands beside it."
_FIXES = {
    "date-unclear": "Set `date_format` of the table, or correct the cell.",
    "patient-unclear": "Format the column as text, or correct the cell.",
    "file-unclear": "Write the image's place below SRC or beside the table, or a name that is there once.",
    "file-absent": "Write the image's place below SRC or beside the table, or add the image to the export.",
    "row-contradicts": "Keep one row an image.",
    "md-out-of-range": "Look at the sign (`md_convention`) and at the column.",
}
_DETAILS = {
    "file-unclear": "The row names a place outside the export, or several files fit its name.",
    "file-absent": "The row names an image that is not there.",
    "row-contradicts": "Two rows say different things of one image.",
    "md-out-of-range": "The row's MD is no possible one.",
}


class Row(NamedTuple):
    """A row of a table of visual fields.

    Args:
        place: relative POSIX path of the table, `#`, and the row's number in it. Identifying: for pointers only.
        found: the visual field, or why the row cannot be used.
    """

    place: str
    found: VisualField | RefusedError

    @property
    def table(self) -> str:
        """Relative POSIX path of the table."""
        return self.place.rpartition("#")[0]


@dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """What a table says of an image.

    Args:
        place: of the row, as in `Row`.
        subject: whom the image shows; identifying.
        laterality: `R` or `L`.
        acquired: day of the examination; identifying.
        kind: `oct`, `fundus`, or None when the table does not say, as all that follow.
        region: what it is centred on.
        scan_pattern: of a volume.
        signal: the device's quality value.
        field_of_view: of a photograph, in degrees.
    """

    place: str = field(repr=False, compare=False)
    subject: Subject
    laterality: Laterality
    acquired: date = field(repr=False)
    kind: Literal["oct", "fundus"] | None = None
    region: Region | None = None
    scan_pattern: str | None = None
    signal: float | None = None
    field_of_view: float | None = None

    @property
    def table(self) -> str:
        """Relative POSIX path of the table."""
        return self.place.rpartition("#")[0]


class ImageRow(NamedTuple):
    """A row of a table of images.

    Args:
        place: as in `Row`.
        file: relative POSIX path of the image, or None when it is not found.
        found: the facts, or why the row cannot be used.
    """

    place: str
    file: str | None
    found: ImageFacts | RefusedError


def table_places(site: SiteConfig, source: Path) -> list[str]:
    """Relative POSIX paths of all tables that the site file names, in order, each once."""
    found = {path.relative_to(source).as_posix() for table in site.tables for path in table_files(table, source)}
    return sorted(found)


def table_fields(site: SiteConfig, source: Path) -> Iterator[Row]:
    """The visual fields of all tables of the kind `visual_fields`, row by row in order.

    Raises:
        MedmdError: a table cannot be read as a whole; a row that cannot be used is yielded as a refusal instead.
    """
    for table, place, cells in _rows(site, source, "visual_fields"):
        yield Row(place, _field_or_refusal(cells, table, site))


def image_rows(site: SiteConfig, source: Path) -> Iterator[ImageRow]:
    """The rows of all tables of the kind `images`, in order.

    A row's image is looked for below the table's folder, then below SRC, then as a file name that is there only once.
    Rows that repeat another are yielded once; when two rows say different things of one image, both are refused.

    Raises:
        MedmdError: as `table_fields`.
    """
    by_name = _names(source) if any(table.kind == "images" for table in site.tables) else {}
    found = [_image_row(table, place, cells, by_name) for table, place, cells in _rows(site, source, "images")]
    said: dict[str, set[ImageFacts]] = {}
    for row in found:
        if row.file is not None and isinstance(row.found, ImageFacts):
            said.setdefault(row.file, set()).add(row.found)
    seen: set[str] = set()
    for row in found:
        if row.file is None or isinstance(row.found, RefusedError):
            yield row
        elif len(said[row.file]) > 1:
            yield ImageRow(row.place, row.file, _refusal("row-contradicts"))
        elif row.file not in seen:
            seen.add(row.file)
            yield row


def image_facts(site: SiteConfig, source: Path) -> Mapping[str, ImageFacts]:
    """Relative POSIX path of an image -> what the tables say of it; rows that cannot be used are in `image_rows`."""
    return {
        row.file: row.found
        for row in image_rows(site, source)
        if row.file is not None and isinstance(row.found, ImageFacts)
    }


def _rows(site: SiteConfig, source: Path, kind: str) -> Iterator[tuple[Table, str, Mapping[str, Any]]]:
    for table in site.tables:
        if table.kind == kind:
            for path in table_files(table, source):
                name = path.relative_to(source).as_posix()
                try:
                    for number, cells in records(path, table):
                        yield table, f"{name}#{number}", cells
                except MedmdError as error:
                    msg = f"A table that fits `{table.file}` cannot be used: {error}"
                    raise MedmdError(msg) from None


def _field_or_refusal(cells: Mapping[str, Any], table: Table, site: SiteConfig) -> VisualField | RefusedError:
    try:
        return _field(cells, table, site)
    except UnclearError as error:
        return _refusal(str(error))


def _field(cells: Mapping[str, Any], table: Table, site: SiteConfig) -> VisualField:
    warnings: list[str] = []
    common = _common(cells, table, warnings)
    md = _needed(read_number(cells.get("md"), "md"), "md")
    if (table.md_convention or site.visual_field.md_convention) == "octopus":
        # A mean defect: positive for loss.
        md = 0.0 - md
    if not -40 <= md <= 40:
        raise UnclearError("md-out-of-range")  # noqa: EM101 - a code
    return VisualField(
        source_format=_FORMAT,
        **common,
        md=md,
        psd=_spare(lambda: read_number(cells.get("psd"), "psd"), warnings),
        vfi=_spare(lambda: read_number(_without_percent(cells.get("vfi")), "vfi"), warnings),
        pattern=read_word(cells.get("pattern"), "pattern", table),
        strategy=read_word(cells.get("strategy"), "strategy", table),
        fixation_losses=read_share(cells.get("fixation_losses"), "fixation_losses", table),
        false_positives=read_share(cells.get("false_positives"), "false_positives", table),
        false_negatives=read_share(cells.get("false_negatives"), "false_negatives", table),
        warnings=tuple(warnings),
    )


def _image_row(table: Table, place: str, cells: Mapping[str, Any], by_name: Mapping[str, list[str]]) -> ImageRow:
    file: str | None = None
    try:
        file = _file(cells.get("file"), place.rpartition("#")[0], by_name)
        return ImageRow(place, file, _image(cells, table, place))
    except UnclearError as error:
        return ImageRow(place, file, _refusal(str(error)))


def _image(cells: Mapping[str, Any], table: Table, place: str) -> ImageFacts:
    return ImageFacts(
        place=place,
        **_common(cells, table, []),
        kind=cast('Literal["oct", "fundus"] | None', read_word(cells.get("kind"), "kind", table)),
        region=cast("Region | None", read_word(cells.get("region"), "region", table)),
        scan_pattern=read_word(cells.get("scan_pattern"), "scan_pattern", table),
        signal=_spare(lambda: read_number(cells.get("signal"), "signal"), []),
        field_of_view=read_number(cells.get("field_of_view"), "field_of_view"),
    )


def _common(cells: Mapping[str, Any], table: Table, warnings: list[str]) -> dict[str, Any]:
    sex = _spare(lambda: read_word(cells.get("sex"), "sex", table), warnings)
    return {
        "subject": Subject(
            identifier=_needed(read_identifier(cells.get("patient"), table), "patient"),
            birth_date=_spare(lambda: read_day(cells.get("birth_date"), table, name="birth_date"), warnings),
            age=_spare(lambda: read_age(cells.get("age")), warnings),
            sex=cast('Literal["F", "M", "O"] | None', sex),
        ),
        "laterality": _needed(read_word(cells.get("laterality"), "laterality", table), "laterality"),
        "acquired": _needed(read_day(cells.get("date"), table), "date"),
    }


def _without_percent(cell: Any) -> Any:
    return cell.rstrip("% ") if isinstance(cell, str) else cell


def _needed(value: _Found | None, name: str) -> _Found:
    if value is None:
        raise UnclearError(f"{name}-missing")  # noqa: EM102 - a code
    return value


def _spare(read: Callable[[], _Found | None], warnings: list[str]) -> _Found | None:
    """What a row can do without: None, and a warning, when it is unclear."""
    try:
        return read()
    except UnclearError as error:
        warnings.append(str(error))
        return None


def _refusal(reason: str) -> RefusedError:
    name, _, fault = reason.rpartition("-")
    words = {"missing": "is empty", "unclear": "does not hold what it should"}
    detail = (
        _DETAILS.get(reason) or f"The row's cell for `{name.replace('-', '_')}` {words.get(fault, 'is not usable')}."
    )
    fix = _FIXES.get(reason) or (
        "Fill the cell." if fault == "missing" else "Add the word to `values`, or correct the cell."
    )
    return RefusedError(
        reason=f"row-{reason}" if not reason.startswith("row-") else reason, detail=f"{detail} {_WHERE}", fix=fix
    )


def _names(source: Path) -> dict[str, list[str]]:
    """Lower-case place, and lower-case name, of every file -> its places."""
    found: dict[str, list[str]] = {}
    for place in files_below(source):
        for key in {place.casefold(), "/" + PurePosixPath(place).name.casefold()}:
            found.setdefault(key, []).append(place)
    return found


def _file(cell: Any, table: str, by_name: Mapping[str, list[str]]) -> str:
    """The place of a row's image."""
    text = _needed(None if cell is None else str(cell).strip(), "file").replace("\\", "/")
    path = PurePosixPath(text.removeprefix("./"))
    if ".." in path.parts or path.is_absolute() or ":" in path.parts[0]:
        # The place on the machine that made the table: only its last part can mean something here.
        path = PurePosixPath(path.name)
    for key in ((PurePosixPath(table).parent / path).as_posix(), path.as_posix(), "/" + path.name):
        places = by_name.get(key.casefold(), [])
        if len(places) == 1:
            return places[0]
        if places:
            raise UnclearError("file-unclear")  # noqa: EM101 - a code
    raise UnclearError("file-absent")  # noqa: EM101 - a code
