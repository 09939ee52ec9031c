"""Settings of a training that a benchmark sets itself or does not use, so that an override of them would be lost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medmd.utils import read_json

# Handlers that write files or talk, which a run of a benchmark leaves out.
LEFT_OUT = ("TrackMLflow", "ShowProgress", "Checkpoint")
_LENGTH = "epochs of the data set and stage_one"
_FOLDER = "dataset_dir of the data set"
_NAME = "name of the method"
_PHANTOM = "phantom of the data set"
# Setting -> the key of the plan that says it.
_PLAN = {
    "seed": "seeds",
    "pretrain_epochs": _LENGTH,
    "train_epochs": _LENGTH,
    "pretrain#max_epochs": _LENGTH,
    "train#max_epochs": _LENGTH,
    "pretrain#trainer#max_epochs": _LENGTH,
    "train#trainer#max_epochs": _LENGTH,
    "stages": "stage_one of the method",
    "dataset_dir": _FOLDER,
    "datalist": _FOLDER,
    "phantom": _PHANTOM,
    "phantom_dir": _PHANTOM,
    "threads": "threads, under limits",
    "experiment": "name",
    "method": _NAME,
    "run_name": _NAME,
}
_ONCE = "each case is prepared once and kept in memory, for all methods"
_BATCHES = "batches are made in the run's own process, the last incomplete one left out; of it batch_size alone is used"
_FILES = "nothing but predictions, means of each epoch and the result is written"
_START = "runs are started, resumed and checked by the benchmark"
# Setting -> why nothing comes of it.
_UNUSED = {
    "device": "runs are computed on the processor",
    "num_workers": _ONCE,
    "steady_worker": _ONCE,
    "cache": _ONCE,
    "cache_workers": _ONCE,
    "train#data": _ONCE,
    "train#dataset": _ONCE,
    "pretrain#dataloader": _BATCHES,
    "train#dataloader": _BATCHES,
    "validate#dataset": _ONCE,
    "validate#dataloader": _ONCE,
    "evaluate#dataset": _ONCE,
    "evaluate#dataloader": _ONCE,
    "evaluate#evaluation#loaders": _ONCE,
    "output_dir": _FILES,
    "checkpoint_every": _FILES,
    "keep_checkpoints": _FILES,
    "log_every": _FILES,
    "history": _FILES,
    "network_def": _FILES,
    "track": "MLflow is told of all runs, or of none with --no-tracking",
    "bundle_root": _START,
    "resume": _START,
    "preflight": _START,
    "debug": _START,
    "session": _START,
    "initialize": _START,
    "run": _START,
    "finalize": _START,
}
_USED = ("pretrain#dataloader#batch_size", "train#dataloader#batch_size")


def why_lost(name: str, value: Any) -> str | None:
    """Why a benchmark would lose an override, as the end of a sentence about it; None when it would not.

    Args:
        name: of the setting, nested ones with `#`.
        value: what it would be set to.
    """
    name = name.replace("::", "#")
    if name in _USED:
        return None
    for path, key in _PLAN.items():
        if _is_within(name, path):
            return f"the benchmark sets it itself. Use the plan's {key}."
    reasons = {**_UNUSED, **_of_handlers(name, value)}
    return next(
        (f"has no effect in a benchmark: {why}." for path, why in reasons.items() if _is_within(name, path)), None
    )


def _is_within(name: str, path: str) -> bool:
    return name == path or name.startswith(f"{path}#")


def _of_handlers(name: str, value: Any) -> dict[str, str]:
    """The handlers of a stage that a run leaves out, by where the bundle lists them."""
    from medmd.commands.bundle_path import bundle_folder

    stage, _, rest = name.partition("#")
    if not rest.startswith("handlers#"):
        return {}
    found = {}
    for number, handler in enumerate(read_json(bundle_folder() / "train.json").get(stage, {}).get("handlers", ())):
        path = f"{stage}#handlers#{number}"
        # Another handler in the place of one that is left out is none of those.
        if is_handler(handler, *LEFT_OUT) and not (name == path and _is_another(value)):
            found[path] = _FILES
        if is_handler(handler, "RecordHistory"):
            found |= {f"{path}#path": _FILES, f"{path}#every": _FILES}
    return found


def _is_another(value: Any) -> bool:
    return isinstance(value, Mapping) and "_target_" in value and not is_handler(value, *LEFT_OUT)


def is_handler(description: Any, *names: str) -> bool:
    """Whether the description of a component is that of one of these classes."""
    return isinstance(description, Mapping) and str(description.get("_target_")).rsplit(".", 1)[-1] in names
