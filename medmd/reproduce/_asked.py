"""What was asked of a benchmark beside what its plan says already: it is the same, it adds seeds, or it is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medmd.utils import MedmdError

if TYPE_CHECKING:
    from medmd.benchmark import DatasetPlan

_OPTIONS = {"overlays": "--overlay", "epochs": "--epochs", "folds": "--folds", "phantom": "--eyes"}


def check_dataset(planned: DatasetPlan, asked: DatasetPlan, *, work: Path) -> None:
    """Refuse another length, other folds, other overlays or another phantom than the plan has.

    Args:
        planned: the data set as the folder's plan has it.
        asked: the same with what was asked for in its place.
        work: folder of the benchmark, for the text.

    Raises:
        MedmdError: they differ; one line for each option.
    """
    lines = [
        f"{option}: {planned.name} is planned with {name} {_shown(before)}, got {_shown(now)}."
        for name, option in _OPTIONS.items()
        if (before := getattr(planned, name)) != (now := getattr(asked, name))
    ]
    if lines:
        advice = "Leave it out to go on with the plan, or choose another --dataset or another folder with --work."
        raise MedmdError("\n".join([f"{work}: what is planned stays as it is.", *lines, advice]))


def seeds_with(planned: Sequence[int], asked: int | None, *, work: Path) -> list[int]:
    """The plan's seeds, and those that were asked for besides.

    Args:
        planned: the seeds of the folder's plan.
        asked: how many, counted from 0; None for those of the plan.
        work: folder of the benchmark, for the text.

    Raises:
        MedmdError: a planned seed is not among those that were asked for.
    """
    wanted = list(planned) if asked is None else list(range(asked))
    gone = [seed for seed in planned if seed not in wanted]
    if gone:
        msg = (
            f"--seeds: the plan in {work} has the seeds {', '.join(map(str, planned))}; got {asked}, which are not all "
            f"of them. Seeds can only be added: leave it out, or ask for {max(planned) + 1} or more."
        )
        raise MedmdError(msg)
    return [*planned, *(seed for seed in wanted if seed not in planned)]


def with_asked(planned: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """A planned data set with what was asked for in its place, a phantom's settings one by one."""
    merged = {**planned, **asked}
    if asked.get("phantom") is not None:
        merged["phantom"] = {**(planned.get("phantom") or {}), **asked["phantom"]}
    return merged


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {each}" for name, each in value.items()) or "as by default"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)
