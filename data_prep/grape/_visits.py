"""The visits of the GRAPE workbook: `Follow-up` tells when and with what result, `Baseline` tells about the eye."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from data_prep._tables import open_workbook
from data_prep.grape._field import POINTS, field_fault
from data_prep.grape._sheet import Row, Sheet, read_sheet
from medmd.utils import MedmdError

WORKBOOK = "VF and clinical information.xlsx"
_EYES = {"OD": "R", "OS": "L"}
_RNFL = ("Mean", "S", "N", "I", "T")
_FIELD = tuple(("VF", str(point)) for point in range(POINTS))
_EYE = (("Subject Number", ""), ("Laterality", ""))
_VISIT = (*_EYE, ("IOP", ""), ("Corresponding CFP", ""), ("Acquisition Device", ""), *_FIELD)
_BASELINE = (
    *_VISIT,
    ("Age", ""),
    ("Gender", ""),
    ("CCT", ""),
    *(("OCT RNFL thickness", name) for name in _RNFL),
    # Not read: a 0/1 flag of progression that reads like a mean deviation. Its group proves the layout.
    ("Progression Status", "MD"),
)
_FOLLOW_UP = (*_VISIT, ("Visit Number", ""), ("Interval Years", ""))


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One eye at one visit, as the workbook gives it.

    Args:
        subject: number of the subject.
        laterality: `R` or `L`.
        number: 1 is the first visit.
        years_since_first: time since the first visit in years, None when not given.
        age: years at this visit (whole years at the first one, plus the time since then), None when not given.
        sex: `F`, `M` or None.
        iop: intraocular pressure at this visit in mmHg, or None.
        cct: central corneal thickness in micrometres, measured at the first visit, or None.
        rnfl: RNFL thickness (mean, superior, nasal, inferior, temporal) in micrometres; None at later visits and where
            a value is missing.
        field: 61 sensitivities in dB, None where a value is missing.
        photograph: file name of the photograph, None when the visit has none.
        device: the camera.
        place: where the row stands, for messages.
        sheets_agree: False when `Baseline` and `Follow-up` tell different things about this first visit.
    """

    subject: int
    laterality: str
    number: int
    years_since_first: float | None
    age: float | None
    sex: str | None
    iop: float | None
    cct: float | None
    rnfl: tuple[float, ...] | None
    field: tuple[float | None, ...]
    photograph: str | None
    device: str | None
    place: str
    sheets_agree: bool = True

    @property
    def patient_id(self) -> str:
        """Pseudonym of the subject; the release's numbers are pseudonyms already."""
        return f"grape-{self.subject:04d}"

    @property
    def case_id(self) -> str:
        """Pseudonym of the visit: subject, eye, number of the visit."""
        return f"{self.patient_id}-{self.laterality}-{self.number}"


@dataclass(frozen=True)
class Visits:
    """All visits in order of subject, eye and number, and the case ids of follow-up rows whose eye has no baseline."""

    visits: list[Visit]
    without_baseline: list[str]


def find_workbook(source: Path) -> Path:
    """The release's workbook in `source`.

    Raises:
        MedmdError: there is none, or `source` is no folder.
    """
    path = source / WORKBOOK
    if not path.is_file():
        msg = f"{source}: expected the GRAPE release with the workbook {WORKBOOK!r} in it; there is no such file."
        raise MedmdError(msg)
    return path


def read_visits(path: Path) -> Visits:
    """Read the workbook.

    Args:
        path: the release's workbook.

    Raises:
        MedmdError: the file is no workbook, its layout is not the release's, or a row is there twice.
    """
    baseline, follow_up = _read_sheets(path)
    baseline.require(_BASELINE)
    follow_up.require(_FOLLOW_UP)
    first: dict[tuple[int, str], Visit] = {}
    for row in baseline.records():
        visit = _first_visit(row)
        _add(first, (visit.subject, visit.laterality), visit)
    visits = {(*eye, 1): visit for eye, visit in first.items()}
    seen: dict[tuple[int, str, int], Visit] = {}
    without_baseline = []
    for row in follow_up.records():
        key = (*_eye(row), row.whole("Visit Number"))
        visit = _later_visit(row, key, first.get(key[:2]))
        _add(seen, key, visit)
        if key[:2] not in first:
            without_baseline.append(visit.case_id)
        elif key[2] == 1:
            visits[key] = _compared(visits[key], visit)
        else:
            visits[key] = visit
    return Visits([visits[key] for key in sorted(visits)], sorted(without_baseline))


def _read_sheets(path: Path) -> tuple[Sheet, Sheet]:
    with open_workbook(path) as book:
        missing = [title for title in ("Baseline", "Follow-up") if title not in book.sheetnames]
        if missing:
            msg = f"{path.name}: expected the sheets Baseline and Follow-up, got {', '.join(book.sheetnames)}."
            raise MedmdError(msg)
        first, second = (
            read_sheet(title, book[title].iter_rows(values_only=True)) for title in ("Baseline", "Follow-up")
        )
        return first, second


def _eye(row: Row) -> tuple[int, str]:
    laterality = row.text("Laterality")
    if laterality not in _EYES:
        msg = f"{row.place}, column 'Laterality': expected OD or OS, got {laterality!r}."
        raise MedmdError(msg)
    return row.whole("Subject Number"), _EYES[laterality]


def _first_visit(row: Row) -> Visit:
    subject, laterality = _eye(row)
    sex = row.text("Gender")
    rnfl = tuple(row.number_or_none("OCT RNFL thickness", name) for name in _RNFL)
    known = tuple(value for value in rnfl if value is not None)
    return Visit(
        subject=subject,
        laterality=laterality,
        number=1,
        years_since_first=0.0,
        age=row.number_or_none("Age"),
        sex=sex if sex in ("F", "M") else None,
        cct=row.number_or_none("CCT"),
        rnfl=known if len(known) == len(_RNFL) else None,
        iop=row.number_or_none("IOP"),
        field=_field(row),
        photograph=row.text("Corresponding CFP"),
        device=row.text("Acquisition Device"),
        place=row.place,
    )


def _later_visit(row: Row, key: tuple[int, str, int], first: Visit | None) -> Visit:
    years = row.number_or_none("Interval Years")
    return Visit(
        subject=key[0],
        laterality=key[1],
        number=key[2],
        years_since_first=None if years is None else round(years, 4),
        age=round(first.age + years, 2) if first and first.age is not None and years is not None else None,
        sex=None if first is None else first.sex,
        cct=None if first is None else first.cct,
        rnfl=None,
        iop=row.number_or_none("IOP"),
        field=_field(row),
        photograph=row.text("Corresponding CFP"),
        device=row.text("Acquisition Device"),
        place=row.place,
    )


def _compared(baseline: Visit, follow_up: Visit) -> Visit:
    agree = (baseline.field, baseline.photograph) == (follow_up.field, follow_up.photograph)
    return replace(baseline, sheets_agree=agree)


def _field(row: Row) -> tuple[float | None, ...]:
    field = tuple(row.number_or_none(*name) for name in _FIELD)
    fault = field_fault(field)
    if fault:
        msg = f"{row.place}, visual field: {fault}. The columns are not in the order of the GRAPE release."
        raise MedmdError(msg)
    return field


def _add(known: dict, key: tuple, visit: Visit) -> None:
    if key in known:
        msg = f"{visit.place}: {visit.case_id} is there twice, first in {known[key].place}. Remove one of the rows."
        raise MedmdError(msg)
    known[key] = visit
