"""Trainings that leave their weights and the numbers of every step: the bundle, run as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medmd.utils import MedmdError, read_json, sha256_file

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
    """Train in `folder`, or go on with what is there; a finished run of the same settings and data is left as it is.

    Args:
        folder: output folder of the run.
        overlays: of the bundle, such as `data/grape` and `methods/sgm`.
        overrides: settings.

    Returns:
        The folder.

    Raises:
        MedmdError: the folder holds a run of other settings or data, or the training failed; its last words are in the
            text.
    """
    from medmd.commands.bundle_path import bundle_folder

    root = bundle_folder()
    files = [str(root / "train.json"), *(str(root / f"{name}.json") for name in overlays)]
    settings = {"output_dir": str(folder), "track": False, "log_every": 1, **overrides}
    if is_finished(folder) and _is_same(folder, files, settings):
        return folder
    was_there = (folder / "run.json").is_file()
    words = [word for key, value in settings.items() for word in (f"--{key}", str(value))]
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", str(files), *words]
    folder.parent.mkdir(parents=True, exist_ok=True)
    # A run of other settings than those of now is refused there, and a shorter one goes on.
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - no shell, own arguments
    if done.returncode:
        said = f"the training ended with code {done.returncode}. Its last words: {_last_words(done.stderr)}"
        advice = " To keep it, choose another folder with --work; to train it again, delete it." if was_there else ""
        msg = f"{folder.name}: {said}{advice}"
        raise MedmdError(msg)
    return folder


def is_finished(folder: Path) -> bool:
    """Whether a run of the bundle has come to the end of all its stages and left its numbers."""
    files = [folder / name for name in ("config.json", "progress.json")]
    if not all(path.is_file() for path in files):
        return False
    config, progress = map(read_json, files)
    # A run of stage 1 alone predicts nothing.
    stages = [stage for stage in config["stages"] if stage != "pretrain" or config.get("pretraining", True)]
    left = ["history.csv", *(["predictions.csv"] if "evaluate" in stages else [])]
    return set(stages) <= set(progress["finished"]) and all((folder / name).is_file() for name in left)


def _is_same(folder: Path, files: Sequence[str], settings: Mapping[str, Any]) -> bool:
    """Whether a run was made with exactly this configuration and datalist; when in doubt, not."""
    from monai.bundle import ConfigParser

    parser = ConfigParser()
    parser.read_config(files)
    parser.update(dict(settings))
    # As MONAI writes references when it runs a configuration.
    parser.resolve_macro_and_relative_ids()
    wanted = _plain(parser.config)
    place = Path(str(wanted.get("dataset_dir") or wanted.get("phantom_dir")))
    datalist = place if place.suffix == ".json" else place / "datalist.json"
    if not datalist.is_file() or _plain(read_json(folder / "config.json")) != wanted:
        return False
    return bool(read_json(folder / "run.json").get("datalist_sha256") == sha256_file(datalist))


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """A raw configuration as a run keeps it, without remarks."""
    kept = {name: value for name, value in config.items() if not name.startswith("_")}
    found: dict[str, Any] = json.loads(json.dumps(kept, default=str))
    return found


def _last_words(text: str) -> str:
    """The error that the bundle tells, else the end of what it said."""
    _, found, error = text.rpartition("medmd: error: ")
    return (error if found else text)[-_SHOWN:].strip()
