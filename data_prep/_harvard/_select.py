"""Which samples are converted, under which name and in which part, and what became of every file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from data_prep._harvard._layout import PARTS, Layout, Sample
from data_prep._harvard._release import Release
from data_prep._harvard._summary import Summary, without_sample
from data_prep._report import Tally
from medmd.utils import MedmdError

if TYPE_CHECKING:
    from data_prep._harvard._images import Converted


@dataclass(frozen=True)
class Selected:
    """A sample, its pseudonym, and its row of the summary table."""

    sample: Sample
    case_id: str
    row: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Selection:
    """Samples to convert, and what is set aside already: case id (or row) -> reason."""

    chosen: list[Selected] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)


def check_parts(samples: Sequence[Sample]) -> bool:
    """Whether the release splits its samples.

    Raises:
        MedmdError: it does so for some only.
    """
    parts = [sample.part for sample in samples]
    if None in parts and any(parts):
        name = next(sample.name for sample in samples if sample.part is None)
        msg = f"Some samples lie in parts such as Training, others, like {name}, in none. Put all into their part."
        raise MedmdError(msg)
    return None not in parts


def select(layout: Layout, summary: Summary, release: Release, *, limit: int | None) -> Selection:
    """Choose the samples.

    Args:
        layout: with its parts.
        summary: the table.
        release: names the cases.
        limit: the first so many of every part only.
    """
    selection = Selection(files=dict(layout.others))
    if summary.table:
        selection.files[summary.table] = "merged"
    across = _across_parts(layout)
    for part, samples in groupby(layout.samples, key=lambda sample: sample.part):
        for place, (number, same) in enumerate(_by_number(list(samples))):
            case_id = release.case_id(number, part if number in across else None)
            reason = "sample_twice" if len(same) > 1 else None
            if limit is not None and place >= limit:
                reason = "beyond_limit"
            if reason is None:
                selection.chosen.append(Selected(same[0], case_id, summary.rows.get(number, {})))
                continue
            selection.left_out[case_id] = reason
            selection.files.update({sample.name: reason for sample in same})
    for number in without_sample(summary, layout.samples):
        selection.left_out[release.case_id(number)] = "row_without_sample"
    return selection


def tallies(layout: Layout, selection: Selection, converted: Sequence[Converted]) -> list[Tally]:
    """What became of every sample, of every file and of every image that was looked at."""
    left_out, files = dict(selection.left_out), dict(selection.files)
    for item in converted:
        files[item.selected.sample.name] = item.reason or "converted"
        if item.reason:
            left_out[item.selected.case_id] = item.reason
    samples = Tally("samples", total=len(selection.chosen) + len(selection.left_out), word="quarantined")
    samples.converted = samples.total - len(left_out)
    for name in sorted(left_out):
        samples.exclude(left_out[name], name)
    fates = Counter(files.values())
    total = len(layout.samples) + len(layout.tables) + len(layout.others)
    every = Tally("files", total, fates["converted"], fates["merged"], word="quarantined")
    for name in sorted(files):
        if files[name] not in ("converted", "merged"):
            every.exclude(files[name], name)
    return [samples, every, _image_tally(converted)]


def _image_tally(converted: Sequence[Converted]) -> Tally:
    """A sample may be used although one of its images cannot: that is told here."""
    images = Tally("images", total=0, word="quarantined")
    for item in converted:
        reasons = {name: reason for name, (reason, _) in item.faults.items()}
        reasons |= dict.fromkeys(item.images, item.reason) if item.reason else {}
        images.converted += len(item.images) if item.reason is None else 0
        for name, reason in sorted(reasons.items()):
            images.exclude(str(reason), f"{item.selected.case_id} {name}")
    images.total = images.converted + images.excluded_count
    return images


def set_aside_shared(converted: Sequence[Converted]) -> None:
    """Keep an image that stands in several parts in the last of them only, so that no test case is trained on."""
    keepers: dict[str, Converted] = {}
    for item in sorted(converted, key=_rank, reverse=True):
        for image in item.images.values():
            keeper = keepers.setdefault(image.sha256, item)
            if keeper.selected.sample.part != item.selected.sample.part:
                item.reason = "in_two_parts"


def _rank(item: Converted) -> int:
    part = item.selected.sample.part
    return PARTS.index(part) if part else 0


def _across_parts(layout: Layout) -> set[int]:
    parts: dict[int, set[str | None]] = {}
    for sample in layout.samples:
        parts.setdefault(sample.number, set()).add(sample.part)
    return {number for number, found in parts.items() if len(found) > 1}


def _by_number(samples: list[Sample]) -> Iterator[tuple[int, list[Sample]]]:
    for number, same in groupby(samples, key=lambda sample: sample.number):
        yield number, list(same)
