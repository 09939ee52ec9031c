"""Which eyes are converted: those with an MD and one photograph. And what became of every eye and file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep._report import Tally
from data_prep.papila._layout import SHEETS, EyeKey, Layout
from data_prep.papila._sheet import Record, Sheet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from data_prep.papila._images import Picture

_ONE_YEAR = 1.0


@dataclass(frozen=True)
class Eye:
    """An eye to convert."""

    record: Record
    photograph: Path

    @property
    def patient_id(self) -> str:
        """Pseudonym of the patient; the release's numbers are pseudonyms already."""
        return f"papila-{self.record.patient:03d}"

    @property
    def case_id(self) -> str:
        """Pseudonym of the eye."""
        return f"{self.patient_id}-{self.record.laterality}"


@dataclass
class Selection:
    """Eyes to convert, and what is set aside already.

    Args:
        eyes: in order of patient and side.
        left_out: case id (or place of a row) -> reason.
        files: path below the root -> reason.
        contradictions: patients whose sheets tell two ages or sexes.
    """

    eyes: list[Eye] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    contradictions: list[str] = field(default_factory=list)


def select(layout: Layout, sheets: Mapping[str, Sheet], *, limit: int | None) -> Selection:
    """Choose the eyes.

    Args:
        layout: of the release.
        sheets: laterality -> sheet.
        limit: the eyes of the first so many patients only.
    """
    selection = Selection(files=dict(layout.others))
    for side, sheet in sheets.items():
        selection.files[layout.name(layout.sheets[side])] = "merged"
        places = (f"{SHEETS[side]}, unnamed row {place + 1}" for place in range(sheet.unnamed))
        selection.left_out.update(dict.fromkeys(places, "row_without_id"))
    records = _agreed(sheets, selection)
    keys = sorted({*records, *layout.photographs}, key=lambda key: (key[0], key[1] == "L"))
    asked = sorted({patient for patient, _ in keys})[:limit]
    for key in keys:
        _place(key, records.get(key), layout, sheets, selection, wanted=key[0] in asked)
    return selection


def tallies(layout: Layout, selection: Selection, pictures: Sequence[Picture]) -> list[Tally]:
    """What became of every eye and of every file."""
    left_out, files = dict(selection.left_out), dict(selection.files)
    for picture in pictures:
        files[layout.name(picture.item.photograph)] = picture.reason or "converted"
        if picture.reason:
            left_out[picture.item.case_id] = picture.reason
    eyes = Tally("eyes", total=len(selection.eyes) + len(selection.left_out), word="quarantined")
    eyes.converted = eyes.total - len(left_out)
    for name in sorted(left_out):
        eyes.exclude(left_out[name], name)
    fates = Counter(files.values())
    total = sum(map(len, layout.photographs.values())) + len(layout.sheets) + len(layout.others)
    every = Tally("files", total, fates["converted"], fates["merged"], word="quarantined")
    for name in sorted(files):
        if files[name] not in ("converted", "merged"):
            every.exclude(files[name], name)
    return [eyes, every]


def _place(
    key: EyeKey,
    record: Record | None,
    layout: Layout,
    sheets: Mapping[str, Sheet],
    selection: Selection,
    *,
    wanted: bool,
) -> None:
    photographs = layout.photographs.get(key, [])
    reason = _reason(key, record, photographs, sheets) if wanted else "beyond_limit"
    if reason is None and record is not None:
        selection.eyes.append(Eye(record, photographs[0]))
        return
    eye = Eye(record or Record(patient=key[0], laterality=key[1]), Path())
    selection.left_out[eye.case_id] = reason or "row_absent"
    fates = {"no_visual_field": "eye_without_field", "beyond_limit": "beyond_limit"}
    at_fault = ("photograph_twice", "row_absent")
    fate = reason if reason in at_fault else fates.get(reason or "", "eye_set_aside")
    selection.files.update({layout.name(path): str(fate) for path in photographs})


def _reason(key: EyeKey, record: Record | None, photographs: list[Path], sheets: Mapping[str, Sheet]) -> str | None:
    if record is None:
        return "row_absent"
    if key[0] in sheets[key[1]].twice:
        return "row_twice"
    if record.fault:
        return record.fault
    if not photographs:
        return "photograph_absent"
    return "photograph_twice" if len(photographs) > 1 else None


def _agreed(sheets: Mapping[str, Sheet], selection: Selection) -> dict[EyeKey, Record]:
    """Records by eye, without the age and sex of patients of whom the sheets tell two."""
    records = {(number, side): record for side, sheet in sheets.items() for number, record in sheet.records.items()}
    for number in sorted({number for number, _ in records}):
        both = [(number, side) for side in sheets if (number, side) in records]
        sexes = {sex for key in both if (sex := records[key].sex)}
        ages = [age for key in both if (age := records[key].age) is not None]
        if len(sexes) > 1 or (ages and max(ages) - min(ages) > _ONE_YEAR):
            selection.contradictions.append(f"papila-{number:03d}")
            records |= {key: replace(records[key], age=None, sex=None) for key in both}
    return records
