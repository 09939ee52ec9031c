"""A run's configuration: that of a training which a user starts, without what only writes files."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser

from medmd.benchmark._job import Job
from medmd.benchmark._overlays import overlay_file
from medmd.benchmark._owned import LEFT_OUT, is_handler
from medmd.commands.bundle_path import bundle_folder
from medmd.handlers import History
from medmd.utils import MedmdError
from medmd.workflows import resolve_literals

STAGES = ("pretrain", "train")
# Numbers come to the host at the end of an epoch only.
_NEVER = 10**6


@dataclass
class RunContext:
    """In the place of the session of a training: what the configuration asks of it.

    Attributes:
        datalist: path of the fold's datalist.
        device: where to compute.
        seed: of the run.
        method: name of the method.
        config: the raw configuration.
        folder: None, since nothing is written.
        history: the logged numbers.
        stages: none: they are run by the benchmark.
        tracker: None: the benchmark's process tracks.
    """

    datalist: Path
    device: torch.device
    seed: int
    method: str
    config: dict[str, Any]
    folder: None = None
    history: History = field(default_factory=History)
    stages: tuple[str, ...] = ()
    tracker: None = None


class NoHandler:
    """A handler that does nothing, in the place of one that is left out: others are named by their position."""

    def attach(self, engine: Any) -> None:
        """Nothing to register."""


def parser_of(job: Job) -> ConfigParser:
    """The bundle's training with the overlays and overrides of a run, nothing of it built."""
    parser = ConfigParser()
    overlays = [*job.dataset.overlays, *job.method.overlays]
    parser.read_config([str(bundle_folder() / "train.json"), *(str(overlay_file(name)) for name in overlays)])
    for name, value in job.overrides.items():
        parser[name] = value
    parser["seed"] = job.seed
    epochs = job.epochs if has_stage_one(parser) else {"pretrain": 0, "train": job.dataset.epochs}
    for stage in STAGES:
        # A stage without an epoch is not run, but its components are built.
        parser[f"{stage}_epochs"] = max(1, epochs[stage])
    return parser


def stages_of(job: Job, parser: ConfigParser) -> tuple[str, ...]:
    """The stages that a run has."""
    if not has_stage_one(parser):
        return ("train",)
    return tuple(stage for stage in STAGES if job.epochs[stage])


def has_stage_one(parser: ConfigParser) -> bool:
    """Whether the method has a stage 1."""
    return bool(parser.config.get("pretraining", True))


def fingerprint(parser: ConfigParser) -> str:
    """Of the raw configuration before anything is put into it: what the run computes, without places."""
    kept = {name: value for name, value in parser.config.items() if name not in _PLACES and not name.startswith("_")}
    return _digest(kept)


_PLACES = ("bundle_root", "dataset_dir", "phantom_dir", "output_dir", "experiment", "run_name", "track", "preflight")


def preprocessing_key(parser: ConfigParser) -> str:
    """Identifies what the transforms make of a case."""
    parts = {"modalities": parser.config["modalities"]}
    parts |= {stage: parser.config[stage]["preprocessing"] for stage in ("train", "validate")}
    parts["named"] = _named(parser, parts)
    for name in ("preprocessing", "augmentation"):
        parts[name] = _literal(parser, name)
    return _digest(parts)


def loading_key(parser: ConfigParser, stage: str) -> str:
    """Identifies in which order and batches a stage takes its cases."""
    parts = {name: parser.config[stage][name] for name in ("sampler", "dataloader")}
    # Once a part of it was built, a configuration says :: for #.
    return _digest([parts, _named(parser, parts)], lambda text: text.replace("::", "#"))


def _digest(parts: Any, spelling: Callable[[str], str] = str) -> str:
    return hashlib.sha256(spelling(json.dumps(parts, sort_keys=True, default=str)).encode()).hexdigest()


def _named(parser: ConfigParser, parts: Any) -> dict[str, Any]:
    """What descriptions refer to, and what that refers to, by name; objects that stand in their place are left out."""
    found: dict[str, Any] = {}
    waiting = _references(parts)
    while waiting:
        name = waiting.pop()
        try:
            value = parser[name]
        except (KeyError, IndexError, TypeError, ValueError):
            # Told when it is built.
            continue
        if name not in found and (value is None or isinstance(value, (dict, list, str, int, float))):
            found[name] = value
            waiting |= _references(value)
    return found


def _references(parts: Any) -> set[str]:
    return set(_REFERENCE.findall(json.dumps(parts, default=str).replace("::", "#")))


_REFERENCE = re.compile(r"[@%](\w+(?:#\w+)*)")


def _literal(parser: ConfigParser, name: str) -> Any:
    try:
        return resolve_literals(parser.config, name)
    except MedmdError:
        # It holds expressions: whatever they may name counts.
        plain = {key: value for key, value in parser.config.items() if key not in STAGES and _is_plain(value)}
        return [parser.config[name], plain]


def _is_plain(value: Any) -> bool:
    return not isinstance(value, dict) or "_target_" not in value


def put_in_place(parser: ConfigParser, datalist: Path) -> RunContext:
    """Take out of the configuration what writes files, and say which datalist it is."""
    raw = json.loads(json.dumps(parser.config, default=str))
    device = torch.device("cpu")
    context = RunContext(
        datalist=datalist, device=device, seed=parser.config["seed"], method=str(raw.get("method")), config=raw
    )
    parser["device"] = device
    parser["datalist"] = str(datalist)
    parser["session"] = context
    parser["num_workers"] = 0
    parser["cache_workers"] = 1
    for stage in STAGES:
        handlers = parser.config[stage]["handlers"]
        parser[f"{stage}#handlers"] = [_kept(each) for each in handlers]
        for handler in parser.config[stage]["handlers"]:
            if is_handler(handler, "RecordHistory"):
                handler.update(path=None, every=_NEVER)
    return context


def _kept(handler: Any) -> Any:
    return NoHandler() if is_handler(handler, *LEFT_OUT) else handler
