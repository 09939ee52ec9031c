"""Which visits of the workbook become cases: those with a photograph in the folder and a complete visual field."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from data_prep._report import Tally
from data_prep.grape._visits import Visit, Visits
from medmd.utils import MedmdError

FOLDERS = {"crop": "ROIs", "full": "CFPs"}
REASONS = {
    "photograph_not_listed": "the workbook lists no photograph",
    "photograph_absent": "the photograph that the workbook lists is not in the folder",
    "photograph_unreadable": "the photograph cannot be read",
    "photograph_of_two_subjects": "the same picture is listed for two subjects: whose it is cannot be told",
    "visual_field_incomplete": "the visual field lacks a value: no target",
    "sheets_disagree": "the sheets Baseline and Follow-up tell different things about the first visit",
    "no_baseline_row": "the eye has no row in the sheet Baseline",
    "row_excluded": "the visit it belongs to is excluded for another reason",
    "visit_not_asked_for": "it belongs to a later visit, not asked for",
    "not_in_workbook": "the workbook does not name it",
}
FIXES = {
    "photograph_not_listed": "nothing: the release has none",
    "photograph_absent": "unpack the release's archive again; it may have been cut short",
    "photograph_unreadable": "unpack the release's archive again; it may be damaged",
    "photograph_of_two_subjects": "find out whose it is and remove the other",
    "visual_field_incomplete": "nothing: without a whole field there is no target",
    "sheets_disagree": "look at both rows and correct the wrong one",
    "no_baseline_row": "look whether the sheet Baseline is whole",
    "row_excluded": "see the visit's reason",
    "visit_not_asked_for": "--visits all for all visits",
    "not_in_workbook": "nothing, if you know it; it was not read",
}
HARMLESS = frozenset({"photograph_not_listed", "visit_not_asked_for"})


@dataclass(frozen=True)
class Candidate:
    """A visit with all it needs, and its photograph."""

    visit: Visit
    photograph: Path


@dataclass(frozen=True)
class Photographs:
    """The files of one photograph folder by name."""

    folder: Path
    files: dict[str, Path]

    def find(self, name: str) -> Path | None:
        """The file of that name; letter case counts only where it tells two files apart."""
        return self.files.get(name) or self._folded().get(name.casefold())

    def _folded(self) -> dict[str, Path]:
        return {name.casefold(): path for name, path in self.files.items()}


def find_photographs(source: Path, photograph: str) -> Photographs:
    """The files in `ROIs` (`crop`) or `CFPs` (`full`).

    Raises:
        MedmdError: the folder is not there.
    """
    folder = source / FOLDERS[photograph]
    if not folder.is_dir():
        msg = (
            f"{source}: expected the folder {folder.name!r} with the photographs ({photograph}). Unpack the release's "
            f"archive there, or choose another --photograph."
        )
        raise MedmdError(msg)
    files = {path.name: path for path in sorted(folder.iterdir()) if path.is_file()}
    return Photographs(folder, files)


def select(visits: Visits, photographs: Photographs, *, which: str) -> tuple[list[Candidate], Tally]:
    """Candidates in order of subject, eye and visit, and the tally of the visits.

    Args:
        visits: what the workbook holds.
        photographs: the folder.
        which: `first` visits or `all`.

    Returns:
        The candidates; and the tally with exclusions noted, nothing yet counted as converted.
    """
    asked = [visit for visit in visits.visits if which == "all" or visit.number == 1]
    without_baseline = visits.without_baseline if which == "all" else []
    tally = Tally("visits", total=len(asked) + len(without_baseline))
    for case_id in without_baseline:
        tally.exclude("no_baseline_row", case_id)
    candidates = []
    for visit in asked:
        photograph = _listed(photographs, visit)
        reason = _exclusion(visit, photograph)
        if reason is not None or photograph is None:
            tally.exclude(reason or "photograph_absent", visit.case_id)
        else:
            candidates.append(Candidate(visit, photograph))
    return candidates, tally


def tally_files(
    photographs: Photographs, visits: Visits, *, which: str, converted: Iterable[str], faults: dict[str, str]
) -> Tally:
    """What became of every file in the folder.

    Args:
        photographs: the folder.
        visits: what the workbook holds.
        which: `first` visits or `all`.
        converted: names of the files that are part of the result.
        faults: name -> reason, of files excluded for what they hold.
    """
    done = set(converted)
    tally = Tally("photographs", total=len(photographs.files), converted=len(done))
    listed = {path.name: visit for visit in visits.visits if (path := _listed(photographs, visit))}
    for name in photographs.files:
        if name in done:
            continue
        if name in faults:
            tally.exclude(faults[name], name)
        elif name not in listed:
            tally.exclude("not_in_workbook", name)
        else:
            asked = which == "all" or listed[name].number == 1
            tally.exclude("row_excluded" if asked else "visit_not_asked_for", name)
    return tally


def _listed(photographs: Photographs, visit: Visit) -> Path | None:
    return None if visit.photograph is None else photographs.find(visit.photograph)


def _exclusion(visit: Visit, photograph: Path | None) -> str | None:
    if visit.photograph is None:
        return "photograph_not_listed"
    if photograph is None:
        return "photograph_absent"
    if any(value is None for value in visit.field):
        return "visual_field_incomplete"
    return None if visit.sheets_agree else "sheets_disagree"
