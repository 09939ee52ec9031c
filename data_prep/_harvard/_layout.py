"""The files below the source: samples by number and part, the summary table, and what belongs to neither."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from medmd.utils import MedmdError

TRAINING, VALIDATION, TESTING = PARTS = ("training", "validation", "testing")
_WORDS = {
    TRAINING: {"train", "training"},
    VALIDATION: {"val", "valid", "validation"},
    TESTING: {"test", "testing"},
}
_SAMPLE = re.compile(r"data_(\d{1,9})\.npz", re.IGNORECASE)
_SUMMARY = re.compile(r"data_summary.*\.csv", re.IGNORECASE)
_LITTER = re.compile(r"\..*|~\$.*|thumbs\.db|desktop\.ini", re.IGNORECASE)
_LITTER_FOLDER = "__MACOSX"
_DOCUMENTS = (".md", ".txt", ".pdf", ".docx", ".rtf")


@dataclass(frozen=True)
class Sample:
    """One patient's file.

    Args:
        number: the release's number.
        part: `training`, `validation`, `testing`, or None.
        path: where it lies.
        name: the path below the source, for reports.
    """

    number: int
    part: str | None
    path: Path
    name: str


@dataclass
class Layout:
    """What lies below the source.

    Args:
        samples: in order of part and number.
        tables: summary tables, path below the source -> path.
        others: other files -> reason.
    """

    samples: list[Sample] = field(default_factory=list)
    tables: dict[str, Path] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)

    def repeated(self) -> set[int]:
        """Numbers that several samples bear."""
        counts = Counter(sample.number for sample in self.samples)
        return {number for number, count in counts.items() if count > 1}


def read_layout(source: Path, *, title: str) -> Layout:
    """Sort the files below `source`; folders that are links are not entered.

    Args:
        source: the release, or one part of it.
        title: of the release, for the message.

    Raises:
        MedmdError: there is no folder, or no sample in it.
    """
    if not source.is_dir():
        msg = f"{source}: expected the folder of the release {title}, there is none."
        raise MedmdError(msg)
    layout = Layout()
    for folder, folders, names in os.walk(source):
        folders.sort()
        for name in sorted(names):
            _sort_in(layout, source, Path(folder) / name)
    if not layout.samples:
        msg = (
            f"{source}: found no samples of {title}. Expected files such as data_0001.npz, in folders such as "
            "Training, Validation and Test or in one folder. Unpack the archives and name the folder."
        )
        raise MedmdError(msg)
    layout.samples.sort(key=lambda sample: (PARTS.index(sample.part) if sample.part else 0, sample.number, sample.name))
    return layout


def _sort_in(layout: Layout, source: Path, path: Path) -> None:
    name = path.relative_to(source).as_posix()
    sample = _SAMPLE.fullmatch(path.name)
    if _LITTER.fullmatch(path.name) or _LITTER_FOLDER in name.split("/"):
        layout.others[name] = "system_file"
    elif sample:
        layout.samples.append(Sample(int(sample[1]), _part(path, source), path, name))
    elif _SUMMARY.fullmatch(path.name):
        layout.tables[name] = path
    else:
        document = path.suffix.lower() in _DOCUMENTS
        layout.others[name] = "document" if document else "not_of_the_release"


def _part(path: Path, source: Path) -> str | None:
    """What the folders say, the deepest first; the source's own name counts last."""
    names = [*reversed(path.relative_to(source).parts[:-1]), source.resolve().name]
    return next((part for name in names if (part := named_part(name))), None)


def named_part(name: str) -> str | None:
    """The part that a name such as `Training` or `test_set` means."""
    words = set(re.split(r"[^a-z]+", name.lower()))
    return next((part for part, known in _WORDS.items() if words & known), None)
