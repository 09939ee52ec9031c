"""The whole check: schema, records, files, content."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medmd.data._read import LISTS, parse_datalist
from medmd.data._records import Datalist
from medmd.data._rows import BadRow, with_rows
from medmd.data._schema import Violation, violations
from medmd.data.check._files import content_findings, look_at_files
from medmd.data.check._findings import REFUSAL, CheckReport, Finding
from medmd.data.check._records import record_findings
from medmd.data.check._summary import summarise
from medmd.utils import read_json, write_atomic

_OF_WHOLE_LISTS = ("counts", "empty-list")


def check_datalist(path: str | Path, *, hashes: bool = True, workers: int = 2) -> CheckReport:
    """Check a datalist and the files it names; all findings are collected.

    Refused are: violations of the schema (also a laterality other than R and L); a case id twice; a patient or
    identical content in two splits; a target outside the header's range or of another kind; an input that the header
    does not name or of another kind; paths that leave the datalist's folder; missing and unreadable files; vectors of
    unequal length or with numbers that are not finite; hashes that do not match; no usable case at all. Warnings are:
    identical content within a split, blank images, cases without any input, cases with images but no laterality, an
    empty training list, counts that do not fit. A missing input is allowed; the summary counts it.

    Args:
        path: the datalist.
        hashes: read every file to its end, verify its hash and compare decoded contents (of vectors with at least
            eight different values). False opens headers only.
        workers: threads that read files.

    Returns:
        The report; it holds pseudonyms and no path.

    Raises:
        MedmdError: the file is absent or is not JSON.
    """
    path = Path(path)
    document = read_json(path)
    broken = list(violations(document))
    findings = [_schema_finding(item) for item in broken]
    datalist = _parse_sound_part(document, broken, path)
    summary: dict[str, Any] = {}
    if datalist is not None:
        datalist, bad = with_rows(datalist)
        findings += [_row_finding(item) for item in bad]
        # Without the cases that break the schema the counts cannot fit, and a list may be empty that is not.
        findings += [item for item in record_findings(datalist) if not (broken and item.rule in _OF_WHOLE_LISTS)]
        seen = look_at_files(datalist, hashes=hashes, workers=workers)
        findings += [finding for item in seen for finding in item.findings]
        findings += content_findings(seen)
        summary = summarise(datalist)
    findings.sort(key=lambda finding: finding.level != REFUSAL)
    return CheckReport(name=path.name, findings=findings, summary=summary, hashed=hashes)


def content_digests(datalist: Datalist, *, workers: int = 2) -> dict[str, list[str]]:
    """Case id -> digests of its decoded inputs, for `split_by_patient`; files that cannot be read give none."""
    digests: dict[str, list[str]] = {}
    for item in look_at_files(datalist, hashes=True, workers=workers):
        if item.digest is not None:
            # With the input's name: content is compared within an input, as in the check.
            digests.setdefault(item.case.case_id, []).append(f"{item.name} {item.digest}")
    return digests


def run_check(path: str | Path, out_dir: str | Path | None = None, *, hashes: bool = True, workers: int = 2) -> int:
    """Check a datalist and write `check.json` and `check.html` into a folder.

    Args:
        path: the datalist.
        out_dir: the folder; None writes nothing.
        hashes: as in `check_datalist`.
        workers: as in `check_datalist`.

    Returns:
        0 when nothing is refused, otherwise 1.
    """
    report = check_datalist(path, hashes=hashes, workers=workers)
    if out_dir is not None:
        write_atomic(Path(out_dir) / "check.json", report.to_json())
        write_atomic(Path(out_dir) / "check.html", report.to_html())
    return 0 if report.ok else 1


def _row_finding(item: BadRow) -> Finding:
    return Finding(
        rule="vector",
        level=REFUSAL,
        case_id=item.case.case_id,
        split=item.split,
        input=item.name,
        expected="a list of numbers, or a row of a matrix (`file.npy#row`) below the datalist's folder",
        found=item.problem,
        fix="Convert the data set again, or copy its folder whole.",
    )


def _schema_finding(item: Violation) -> Finding:
    is_laterality = item.where.endswith(".laterality")
    return Finding(
        rule="laterality" if is_laterality else "schema",
        level=REFUSAL,
        case_id=item.case_id,
        split=item.split,
        expected="R, L or null" if is_laterality else f"{item.expected} at {item.where}",
        found=item.found,
        fix="Write R for OD and L for OS."
        if is_laterality
        else "Mend the converter; datalist.schema.json is the rule.",
    )


def _parse_sound_part(document: Any, broken: list[Violation], path: Path) -> Datalist | None:
    """The datalist without the cases that break the schema; None when the header breaks it."""
    if any(item.position is None for item in broken):
        return None
    dropped = {(item.split, item.position) for item in broken}
    sound: Mapping[str, Any] = {
        key: [case for place, case in enumerate(value) if (key, place) not in dropped] if key in LISTS else value
        for key, value in document.items()
    }
    return parse_datalist(sound, path)
