"""Prediction from a model folder: the one path for inference, the command line and the registry."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from monai.data import DataLoader

from medmd.data import CaseDataset
from medmd.engines import predict_table
from medmd.metrics import probability_columns
from medmd.utils import MedmdError, progress
from medmd.workflows._model_folder import ModelFolder, load_model_folder

_LOGGER = logging.getLogger(__name__)
_TASK = "task_"
_SUFFIXES = {"volume": (".nii.gz", ".nii"), "image": (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")}


class Predictor:
    """Predicts with a model folder.

    Args:
        folder: as `write_model_folder` wrote it.
        device: where to compute.
        batch_size: cases at a time.
        num_workers: processes that load.

    Raises:
        MedmdError: nothing can be computed on the device, a number is too small, or the folder holds no model.
    """

    def __init__(
        self, folder: str | Path, *, device: str | torch.device = "cpu", batch_size: int = 8, num_workers: int = 0
    ) -> None:
        self.device = _usable_device(device)
        self.batch_size = _at_least(1, batch_size, "batch_size")
        self.num_workers = _at_least(0, num_workers, "num_workers")
        self.model: ModelFolder = load_model_folder(folder)
        self.model.network.to(self.device)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the inputs, in the network's order."""
        return tuple(self.model.network.modalities)

    @property
    def inputs(self) -> dict[str, str]:
        """Kind of each input by name."""
        return dict(self.model.manifest["inputs"])

    @property
    def target(self) -> str:
        """Name of what is predicted, `md` for the Mean Deviation."""
        return str(self.model.manifest["target"]["name"])

    def predict(self, items: list[dict[str, Any]]) -> pd.DataFrame:
        """Predict for every item.

        Args:
            items: as `medmd.data.load_items` gives them: `case_id`, `laterality`, and a path or list of numbers for
                each modality that is present.

        Returns:
            One row an item, in order: `case_id`, the target's name (from the fused features) and `<target>_<modality>`
            for each modality alone, NaN where it is absent. Of classes these are the indices of the most probable ones,
            followed by the probabilities `<column>_p0`, `<column>_p1`, …; of several tasks there is `<target>_<task>`
            for each task and nothing else.

        Raises:
            MedmdError: no item, an item without any modality, or an unreadable file; the text names the case.
        """
        return self._named(self.table(items))

    def table(self, items: list[dict[str, Any]]) -> pd.DataFrame:
        """As `predict`, under the names of `medmd.engines.predict_table`."""
        if not items:
            msg = "There is nothing to predict: the list of cases is empty."
            raise MedmdError(msg)
        # Nothing is random here; this data set says which case cannot be loaded, and hides the paths.
        dataset = CaseDataset([self._seen(item) for item in items], self.model.preprocessing, seed=0, cache=False)
        loader = DataLoader(dataset, batch_size=self.batch_size, num_workers=self.num_workers)
        return predict_table(self.model.network, _Shown(loader), self.device)

    def _named(self, table: pd.DataFrame) -> pd.DataFrame:
        tasks = [name for name in table.columns if name.startswith(_TASK) and f"{name}_target" in table.columns]
        if tasks:
            heads = {name: f"{self.target}_{name.removeprefix(_TASK)}" for name in tasks}
        else:
            heads = {"fusion": self.target, **{name: f"{self.target}_{name}" for name in self.modalities}}
        columns = {"case_id": "case_id"}
        for old, new in heads.items():
            columns[old] = new
            columns |= {column: new + column.removeprefix(old) for column in probability_columns(table, old)}
        return table[list(columns)].rename(columns=columns)

    def _seen(self, item: dict[str, Any]) -> dict[str, Any]:
        """What of an item has to do with its prediction; a measured target, for one, has not."""
        given = {name: item[name] for name in self.modalities if item.get(name) is not None}
        return {"case_id": item["case_id"], "laterality": item.get("laterality"), **given}


def _usable_device(device: str | torch.device) -> torch.device:
    try:
        found = torch.device(device)
        # Only a number that comes back shows that something is computed there; a device can be named without being.
        torch.zeros(1, device=found).item()
    except (RuntimeError, AssertionError) as error:
        offered = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
        offered += ["mps"] if torch.backends.mps.is_available() else []
        msg = f"device: expected one that this machine has ({', '.join(offered)}), got {str(device)!r}."
        raise MedmdError(msg) from error
    return found


def _at_least(least: int, value: int, name: str) -> int:
    if value < least:
        msg = f"{name}: expected {least} or more, got {value}."
        raise MedmdError(msg)
    return value


class _Shown:
    """A loader that shows how far it is; Ignite asks it for its length."""

    def __init__(self, loader: DataLoader) -> None:
        self.loader = loader

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        return progress(self.loader, total=len(self), description="Predicting", unit="batch")


def items_from_folder(folder: str | Path, inputs: dict[str, str]) -> list[dict[str, Any]]:
    """Cases from a folder of files named by eye and modality, without a datalist.

    A case is what stands before the modality's name: `17-R_oct.nii.gz` and `17-R_fundus.png` are the case `17-R`. Its
    laterality is the `R` or `L` at the end of the name, after `-` or `_`.

    Args:
        folder: looked through without its subfolders.
        inputs: kind (`volume` or `image`) by modality.

    Returns:
        One item a case, sorted by name; modalities without a file are absent. How many files fit no modality is logged.

    Raises:
        MedmdError: no file fits, or a case has two files of a modality or does not tell its laterality.
    """
    found: dict[str, dict[str, Any]] = {}
    files = [path for path in sorted(Path(folder).iterdir()) if not path.is_dir()]
    taken = [_take(path, inputs, found) for path in files]
    if not found:
        wanted = ", ".join(f"<case>_{name}{_SUFFIXES[kind][0]}" for name, kind in inputs.items() if kind in _SUFFIXES)
        msg = f"No case in the folder. Expected files named {wanted}, where <case> ends in -R or -L."
        raise MedmdError(msg)
    if not all(taken):
        # Their names are not repeated: they may be those of patients.
        _LOGGER.info("%d files ignored: their names fit no modality of the model.", taken.count(False))
    return list(found.values())


def _take(path: Path, inputs: dict[str, str], found: dict[str, dict[str, Any]]) -> bool:
    """Put a file to its case; whether its name fits a modality."""
    for name, kind in inputs.items():
        suffix = next((s for s in _SUFFIXES.get(kind, ()) if path.name.lower().endswith(f"_{name}{s}")), None)
        if suffix is not None:
            case = path.name[: -len(f"_{name}{suffix}")]
            item = found.setdefault(case, {"case_id": case, "laterality": _laterality(case)})
            if name in item:
                msg = f"Case {case}: two files of {name}. Leave the one that is meant."
                raise MedmdError(msg)
            item[name] = str(path)
            return True
    return False


def _laterality(case: str) -> str:
    last = case.replace("_", "-").rsplit("-", 1)[-1].upper()
    sides = {"R": "R", "OD": "R", "L": "L", "OS": "L"}
    if last not in sides:
        msg = f"Case {case}: its name must end in -R or -L (right or left eye), or use a datalist that says it."
        raise MedmdError(msg)
    return sides[last]
