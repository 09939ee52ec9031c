"""Rules that need the files: they are there, they can be read, they are what their hashes say, and no two are equal."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.pool import ThreadPool
from pathlib import Path

from medmd.data._content import read_content, vector_digest, vector_hash
from medmd.data._paths import escapes, path_problem
from medmd.data._records import Case, Datalist
from medmd.data.check._findings import REFUSAL, WARNING, Finding
from medmd.data.check._headers import obstacle, read_header
from medmd.utils import progress


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What one input of one case gave: findings, the shape of its file, and the digest of its content when it was read.

    The shape is None for a vector and for a file that could not be opened.
    """

    split: str
    case: Case
    name: str
    digest: str | None = None
    shape: tuple[int, ...] | None = None
    findings: Sequence[Finding] = field(default_factory=tuple)


def look_at_files(datalist: Datalist, *, hashes: bool, workers: int) -> list[Seen]:
    """Open every present input that obeys the header, in threads (decoding and hashing release Python's lock).

    Args:
        datalist: with a path.
        hashes: read contents; otherwise headers only, and no content is compared.
        workers: number of threads.
    """
    jobs = list(_jobs(datalist))
    if not jobs:
        return []
    folder = Path(datalist.folder or ".")
    with _nibabel_silent(), ThreadPool(max(1, workers)) as pool:
        seen = pool.imap(lambda job: _look(folder, *job, hashes=hashes), jobs)
        return list(progress(seen, total=len(jobs), description="Checking files", unit="file"))


@contextmanager
def _nibabel_silent() -> Iterator[None]:
    """Without nibabel's own lines on a broken header; its exceptions, which become findings, come all the same."""
    logger = logging.getLogger("nibabel.global")

    def nothing(record: logging.LogRecord) -> bool:
        return False

    logger.addFilter(nothing)
    try:
        yield
    finally:
        logger.removeFilter(nothing)


def content_findings(seen: Iterable[Seen]) -> Iterator[Finding]:
    """Identical content: refused in two splits, a warning within one."""
    first: dict[tuple[str, str], Seen] = {}
    for item in seen:
        if item.digest is None:
            continue
        other = first.setdefault((item.name, item.digest), item)
        if other is not item:
            yield _same(item, other)


def _same(item: Seen, other: Seen) -> Finding:
    crossing = item.split != other.split
    owner = "the same" if item.case.patient_id == other.case.patient_id else "another"
    return Finding(
        rule="content-in-two-splits" if crossing else "content-twice",
        level=REFUSAL if crossing else WARNING,
        case_id=item.case.case_id,
        split=item.split,
        input=item.name,
        expected="content that no other case has",
        found=f"the content of case {other.case.case_id} of {owner} patient"
        + (f" in the list {other.split}" if crossing else ""),
        fix="Find out which case it belongs to and remove the other"
        + ("; `medmd split` keeps identical content in one list." if crossing else "."),
    )


def _jobs(datalist: Datalist) -> Iterator[tuple[str, Case, str, str]]:
    for split, case in datalist.cases():
        for name in case.present:
            spec = datalist.header.inputs.get(name)
            value = case.inputs[name]
            if spec is None or isinstance(value, str) == (spec.kind == "vector"):
                continue
            if not isinstance(value, str) or path_problem(value) is None:
                yield split, case, name, spec.kind


def _look(folder: Path, split: str, case: Case, name: str, kind: str, *, hashes: bool) -> Seen:
    value = case.inputs[name]
    if not isinstance(value, str):
        return _look_at_vector(split, case, name, hashes=hashes)
    file = folder / value
    stands = obstacle(file)
    if stands is not None:
        return _refused(split, case, name, stands.rule, stands.expected, stands.found, stands.fix)
    if escapes(folder, file):
        fix = "Replace the link by the file itself."
        return _refused(split, case, name, "path", "a file below the datalist's folder", "a link out of it", fix)
    try:
        return _look_at_file(file, split, case, name, kind, hashes=hashes)
    except Exception as error:  # noqa: BLE001 - readers raise anything on a broken file; to tell so is the purpose
        # The text of the error may hold the path; its type says enough.
        found = f"{type(error).__name__} when it is read"
        fix = "Copy the file anew from its source, or convert the case again."
        return _refused(split, case, name, "unreadable-file", f"a {kind} that can be read", found, fix)


def _look_at_file(file: Path, split: str, case: Case, name: str, kind: str, *, hashes: bool) -> Seen:
    findings: list[Finding] = []
    digest = None
    if hashes:
        content = read_content(file, kind)
        shape, digest = content.shape, content.digest
        declared = case.hashes.get(name)
        if declared not in (None, content.sha256):
            findings.append(_wrong_hash(split, case, name, str(declared), content.sha256))
        if not content.finite:
            fix = "Convert the case again; a missing scan is null."
            findings.append(_finding(split, case, name, "not-finite", "finite voxels", "NaN or infinite ones", fix))
        if content.blank:
            fix = "Look at it: an export may fill what it could not decode. A missing input is null."
            findings.append(_finding(split, case, name, "blank", "an image", "one value all over", fix, level=WARNING))
    else:
        shape = read_header(file, kind)
    if kind == "volume" and len(shape) != 3:
        fix = "Write along-scan, depth and slice as the three axes."
        findings.append(_finding(split, case, name, "shape", "three axes", f"the shape {shape}", fix))
    return Seen(split=split, case=case, name=name, digest=digest, shape=shape, findings=findings)


def _look_at_vector(split: str, case: Case, name: str, *, hashes: bool) -> Seen:
    values = case.inputs[name]
    if isinstance(values, str) or values is None or not hashes:
        return Seen(split=split, case=case, name=name)
    declared, found = case.hashes.get(name), vector_hash(values)
    wrong = [_wrong_hash(split, case, name, declared, found)] if declared not in (None, found) else []
    return Seen(split=split, case=case, name=name, digest=vector_digest(values), findings=wrong)


def _wrong_hash(split: str, case: Case, name: str, declared: str | None, found: str) -> Finding:
    fix = "The content was changed after it was converted: convert the case again, or find out what changed it."
    expected = f"the SHA-256 {str(declared)[:12]}… that the datalist gives"
    return _finding(split, case, name, "hash", expected, f"{found[:12]}…", fix)


def _refused(split: str, case: Case, name: str, rule: str, expected: str, found: str, fix: str) -> Seen:
    return Seen(split=split, case=case, name=name, findings=[_finding(split, case, name, rule, expected, found, fix)])


def _finding(
    split: str, case: Case, name: str, rule: str, expected: str, found: str, fix: str, *, level: str = REFUSAL
) -> Finding:
    return Finding(
        rule=rule,
        level=level,
        case_id=case.case_id,
        split=split,
        input=name,
        expected=expected,
        found=found,
        fix=fix,
    )
