"""Trainings that leave their weights and the numbers of every step: the bundle, run as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medmd.utils import MedmdError

_SHOWN = 2000
# Parts of the training cases, by the tail threshold of `target_statistics`: targets below it are the tail.
_THRESHOLD = "@target_statistics['tail_threshold']"
SUBSETS = {"all": "$[None, None]", "head": f"$[{_THRESHOLD}, None]", "tail": f"$[None, {_THRESHOLD}]"}
# Trainings that the figure needs: name -> (overlays, settings).
ALONE: tuple[tuple[str, ...], dict[str, Any]] = (
    ("methods/uniform_sum", "methods/contrastive_weight_0"),
    {"stages": ["pretrain"]},
)
JOINT: tuple[tuple[str, ...], dict[str, Any]] = (("methods/mmpareto", "methods/no_pretraining"), {})
LANDSCAPES = {
    "joint_loss": ("methods/joint_loss", "methods/no_pretraining"),
    "uniform_sum": ("methods/uniform_sum", "methods/no_pretraining"),
    "mmpareto": ("methods/mmpareto", "methods/no_pretraining"),
    "sgm": ("methods/sgm", "methods/no_pretraining"),
}


def trainings() -> dict[str, tuple[tuple[str, ...], dict[str, Any]]]:
    """Every training of the figure: name -> (overlays, settings)."""
    found: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {}
    for subset, bounds in SUBSETS.items():
        for kind, (overlays, settings) in (("alone", ALONE), ("mmpareto", JOINT)):
            more = {} if subset == "all" else {"train#data#target_range": bounds}
            found[f"{kind}-{subset}"] = (overlays, {**settings, **more})
    for method, overlays in LANDSCAPES.items():
        found.setdefault(f"{method}-all", (overlays, {}))
    return found


def bundle_run(folder: Path, *, overlays: Sequence[str], overrides: Mapping[str, Any]) -> Path:
    """Train in `folder`, or go on with what is there; a finished run is left as it is.

    Args:
        folder: output folder of the run.
        overlays: of the bundle, such as `data/grape` and `methods/sgm`.
        overrides: settings.

    Returns:
        The folder.

    Raises:
        MedmdError: the training failed; its last words are in the text.
    """
    from medmd.commands.bundle_path import bundle_folder

    if (folder / "predictions.csv").is_file() and (folder / "history.csv").is_file():
        return folder
    root = bundle_folder()
    files = [str(root / "train.json"), *(str(root / f"{name}.json") for name in overlays)]
    settings = {"output_dir": str(folder), "track": False, "log_every": 1, **overrides}
    words = [word for key, value in settings.items() for word in (f"--{key}", str(value))]
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", str(files), *words]
    folder.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - no shell, own arguments
    if done.returncode:
        msg = (
            f"{folder.name}: the training ended with code {done.returncode}. Its last words: {_last_words(done.stderr)}"
        )
        raise MedmdError(msg)
    return folder


def _last_words(text: str) -> str:
    """The error that the bundle tells, else the end of what it said."""
    _, found, error = text.rpartition("medmd: error: ")
    return (error if found else text)[-_SHOWN:].strip()
