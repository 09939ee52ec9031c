"""Where a run's data comes from: what the user names, else a phantom cohort; and which of its cases can be used."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from medmd.data import load_datalist, load_items, record_findings
from medmd.utils import MedmdError

_LOGGER = logging.getLogger(__name__)


def ensure_datalist(dataset_dir: str | None, *, phantom_dir: str, phantom: dict[str, Any]) -> str:
    """The datalist to train on; without a named data set the phantom cohort is made first.

    Args:
        dataset_dir: folder with a `datalist.json`, or that file itself, or `None` for the phantom.
        phantom_dir: where the phantom is, or will be made.
        phantom: arguments of `PhantomCohort`: `n`, `seed` and its knobs.

    Returns:
        Path of the datalist.

    Raises:
        MedmdError: the named data set has no datalist, or one that breaks a rule which can be seen without opening its
            files: a patient in two splits, a target outside its range, a case twice. A phantom is never made in a
            folder that the user named.
    """
    if dataset_dir is None:
        from medmd.data import PhantomCohort

        _LOGGER.info("No dataset_dir is named: the phantom cohort in %s is used, and made when absent.", phantom_dir)
        PhantomCohort(**phantom).write(phantom_dir)
        return str(Path(phantom_dir) / "datalist.json")
    path = Path(str(dataset_dir))
    path = path if path.suffix == ".json" else path / "datalist.json"
    if not path.is_file():
        msg = (
            f"dataset_dir: no datalist at {path}. Name a folder that holds datalist.json (the converters of data_prep "
            "write one, `medmd check` examines it), or leave dataset_dir out to train on the phantom cohort."
        )
        raise MedmdError(msg)
    _require_sound(path)
    return str(path)


def _require_sound(path: Path) -> None:
    refusals = [str(finding) for finding in record_findings(load_datalist(path)) if finding.level == "refusal"]
    if refusals:
        msg = f"{path.name} must not be trained on. {refusals[0]} In all {len(refusals)}; `medmd check` lists them."
        raise MedmdError(msg)


def labelled_cases(
    path: str | Path,
    split: str,
    inputs: Iterable[str],
    *,
    target_range: Sequence[float | None] = (None, None),
) -> list[dict[str, Any]]:
    """The cases of a split that have a target and one of `inputs` at least, as `load_items` gives them.

    Args:
        path: the datalist.
        split: name of the list.
        inputs: the modalities to use. Others are taken out of the items, so that nothing loads them.
        target_range: lowest target to keep, and the one below which they have to stay; None for no bound. For the
            study of a distribution's head or tail alone.

    Raises:
        MedmdError: no case is left.
    """
    items = load_items(path, split, labelled=True)
    low, high = target_range
    if (low, high) != (None, None):
        items = [
            item for item in items if (low is None or item["target"] >= low) and (high is None or item["target"] < high)
        ]
    return with_inputs(items, inputs, where=split)


def with_inputs(items: list[dict[str, Any]], inputs: Iterable[str], *, where: str) -> list[dict[str, Any]]:
    """The items that have one of `inputs` at least; how many were left out is logged.

    Raises:
        MedmdError: no item is left.
    """
    wanted = list(inputs)
    usable = [item for item in items if any(item.get(name) is not None for name in wanted)]
    if not usable:
        msg = f"{where}: no case has any of the inputs {wanted}. Name inputs that the datalist has."
        raise MedmdError(msg)
    if len(usable) < len(items):
        _LOGGER.warning("%s: %d of %d cases left out, without %s.", where, len(items) - len(usable), len(items), wanted)
    kept = {"case_id", "patient_id", "laterality", "target", *wanted}
    return [{name: value for name, value in item.items() if name in kept} for item in usable]
