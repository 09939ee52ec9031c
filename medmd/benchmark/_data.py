"""Where the data sets of a plan are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from medmd.benchmark._plan import DatasetPlan, Plan
from medmd.benchmark._schedule import Start, is_asked
from medmd.benchmark._work import Work
from medmd.utils import MedmdError
from medmd.workflows import ensure_datalist


def check_data(plan: Plan, start: Start) -> None:
    """See that each data set that is asked for is named or is a phantom; nothing is opened or made.

    Raises:
        MedmdError: one is not; the text says how to name it.
    """
    unknown = sorted(set(start.data or {}) - {dataset.name for dataset in plan.datasets})
    if unknown:
        msg = f"--data: the plan has no data set {', '.join(unknown)}."
        raise MedmdError(msg)
    for dataset in _asked(plan, start):
        if _folder(dataset, start) is None and dataset.phantom is None:
            msg = (
                f"{dataset.name}: no data. Name its folder with --data {dataset.name}=DIR, or leave it out with --only "
                "and the names of the others."
            )
            raise MedmdError(msg)


def find_data(plan: Plan, work: Work, start: Start) -> dict[str, Path]:
    """The datalists of the data sets that are asked for; phantoms are made when absent.

    Raises:
        MedmdError: one is not at hand, or must not be trained on.
    """
    check_data(plan, start)
    found = {}
    for dataset in _asked(plan, start):
        place = _folder(dataset, start)
        phantom = str(work.root / "phantom" / dataset.name)
        path = ensure_datalist(place, phantom_dir=phantom, phantom=dict(dataset.phantom or {}))
        found[dataset.name] = Path(path).absolute()
    return found


def _asked(plan: Plan, start: Start) -> Iterator[DatasetPlan]:
    for dataset in plan.datasets:
        if any(is_asked(plan, start, *pair) for pair in plan.pairs() if pair[0] is dataset):
            yield dataset


def _folder(dataset: DatasetPlan, start: Start) -> str | None:
    place = (start.data or {}).get(dataset.name, dataset.dataset_dir)
    return None if place is None else str(place)
