"""Which eyes are converted: those with images and, where the part has labels, a label."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from data_prep._report import Tally
from data_prep.stage2._cases import MD_RANGE
from data_prep.stage2._eyes import Converted, Eye
from data_prep.stage2._labels import Person, Table, read_grades, read_info, read_md
from data_prep.stage2._layout import GAMMA, Part, Release


@dataclass
class Selection:
    """Eyes to convert, and what is set aside already.

    Args:
        eyes: to convert, in order of part and number.
        numbers: part -> numbers of all its eyes.
        left_out: name of an eye (or place of a row) -> reason.
        files: name of a file -> reason, `merged` or `converted`.
        columns: table -> which column was taken for what.
        unknown: table -> contents that could not be read.
    """

    eyes: list[Eye] = field(default_factory=list)
    numbers: dict[str, list[int]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    columns: dict[str, dict[str, str]] = field(default_factory=dict)
    unknown: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)


def select(release: Release, *, limit: int | None) -> Selection:
    """Read the tables and choose the eyes.

    Args:
        release: what was found.
        limit: the first so many eyes of every part only.

    Raises:
        MedmdError: a table cannot be read.
    """
    selection = Selection(files=dict(release.strays))
    twice = _twice(release)
    for part in release.parts:
        _select_part(part, release.layout, limit, twice, selection)
    return selection


def tallies(release: Release, selection: Selection, converted: list[Converted]) -> list[Tally]:
    """What became of every eye and of every file."""
    left_out, files = dict(selection.left_out), dict(selection.files)
    for item in converted:
        usable = item.oct is not None or item.fundus is not None
        if not usable:
            left_out[item.eye.case_id] = item.faults[0][0] if item.faults else "no_usable_image"
        for file in item.eye.files.files:
            files[file.name] = "merged"
        for file in item.eye.files.fundus if item.fundus else ():
            files[file.name] = "converted"
        for reason, at_fault, _ in item.faults:
            files.update({file.name: reason for file in at_fault})
    eyes = Tally("eyes", total=len(selection.eyes) + len(selection.left_out), word="quarantined")
    eyes.converted = eyes.total - len(left_out)
    for name in sorted(left_out):
        eyes.exclude(left_out[name], name)
    fates = Counter(files.values())
    every = Tally("files", release.total, fates["converted"], fates["merged"], word="quarantined")
    for name in sorted(files):
        if files[name] not in ("converted", "merged"):
            every.exclude(files[name], name)
    return [eyes, every]


def _twice(release: Release) -> set[int]:
    """Numbers that several parts use for different eyes."""
    counts = Counter(number for part in release.parts for number in part.images.eyes)
    return {number for number, count in counts.items() if count > 1}


def _select_part(part: Part, layout: str, limit: int | None, twice: set[int], selection: Selection) -> None:
    labels, info = _labels(part, layout, selection), _info(part, selection)
    numbers = sorted({*part.images.eyes, *(labels.rows if labels else ())})
    selection.numbers[part.kind] = numbers
    for place, number in enumerate(numbers):
        case_id = f"{layout}-{part.kind}-{number:04d}" if number in twice else f"{layout}-{number:04d}"
        files = part.images.eyes.get(number)
        reason = _reason(files is not None and bool(files.files), labels, number)
        if limit is not None and place >= limit:
            reason = "beyond_limit"
        if reason or files is None:
            selection.left_out[case_id] = reason or "images_absent"
            fate = "beyond_limit" if reason == "beyond_limit" else "eye_set_aside"
            selection.files.update({file.name: fate for file in (files.files if files else ())})
            continue
        target = labels.rows[number] if labels else None
        person = info.rows.get(number, Person()) if info else Person()
        selection.eyes.append(Eye(case_id=case_id, part=part.kind, files=files, target=target, person=person))


def _reason(has_images: bool, labels: Table | None, number: int) -> str | None:
    if not has_images:
        return "images_absent"
    if labels is None:
        return None
    return labels.faults.get(number) if number in labels.rows else "label_missing"


def _labels(part: Part, layout: str, selection: Selection) -> Table | None:
    if part.labels is None:
        return None
    table = read_grades(part.labels) if layout == GAMMA else read_md(part.labels, limits=MD_RANGE)
    _note(part.labels.name, table, selection)
    return table


def _info(part: Part, selection: Selection) -> Table | None:
    if part.info is None:
        return None
    table = read_info(part.info)
    _note(part.info.name, table, selection)
    return table


def _note(name: str, table: Table, selection: Selection) -> None:
    selection.files[name] = "merged"
    selection.columns[name] = table.columns
    if table.unknown:
        selection.unknown[name] = table.unknown
    selection.left_out.update(dict.fromkeys(table.unnamed, "row_without_id"))


def source_facts(release: Release) -> dict[str, Any]:
    """What was found, for the report."""
    return {
        "layout": release.layout,
        "parts": {
            part.kind: {
                "images": part.images.name or ".",
                "eyes": len(part.images.eyes),
                "labels": part.labels.name if part.labels else None,
                "info": part.info.name if part.info else None,
            }
            for part in release.parts
        },
    }
