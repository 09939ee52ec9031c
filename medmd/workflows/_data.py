"""Where a run's data comes from: what the user names, else a phantom cohort."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medmd.utils import MedmdError


def ensure_datalist(dataset_dir: str | None, *, phantom_dir: str, phantom: dict[str, Any]) -> str:
    """The datalist to train on; without a named data set the phantom cohort is made first.

    Args:
        dataset_dir: folder with a `datalist.json`, or that file itself, or `None` for the phantom.
        phantom_dir: where the phantom is, or will be made.
        phantom: arguments of `PhantomCohort`: `n`, `seed` and its knobs.

    Returns:
        Path of the datalist.

    Raises:
        MedmdError: the named data set has no datalist. A phantom is never made in a folder that the user named.
    """
    if dataset_dir is None:
        from medmd.data import PhantomCohort

        PhantomCohort(**phantom).write(phantom_dir)
        return str(Path(phantom_dir) / "datalist.json")
    path = Path(dataset_dir)
    path = path if path.suffix == ".json" else path / "datalist.json"
    if not path.is_file():
        msg = (
            f"dataset_dir: no datalist at {path}. Name a folder that holds datalist.json (the converters of data_prep "
            "write one, `medmd check` examines it), or leave dataset_dir out to train on the phantom cohort."
        )
        raise MedmdError(msg)
    return str(path)
