"""One training from start to end: its folder, its stages, its MLflow run, and a truthful last status."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from medmd.handlers import History, MLflowRun
from medmd.utils import MedmdError, read_json, sha256_file, write_json
from medmd.workflows._folder import RUN_FILE, fingerprint, open_folder, write_run_file
from medmd.workflows._parser import active_parser
from medmd.workflows._versions import environment

_LOGGER = logging.getLogger(__name__)
STAGES = ("pretrain", "train", "evaluate")
_PROGRESS_FILE = "progress.json"


class Session:
    """Runs the stages of a bundle one after the other and closes their MLflow run with what really happened.

    Args:
        output_dir: folder of the run; everything that it writes is in it.
        datalist: path of the datalist that is trained on.
        seed: the run's seed, recorded.
        device: where to compute, recorded.
        method: name of the method, recorded.
        resume: `"auto"`, `True` or `False`; see `open_folder`.
        stages: which of pretrain, train and evaluate to run.
        tracking: false switches MLflow off.
        experiment: name of the MLflow experiment.
        run_name: name of the MLflow run.
        threads: CPU threads of PyTorch, or `None` for its default. Another number may change the last bits of a result.
        config: the raw configuration; by default that of the bundle which is being run.

    Attributes:
        folder: the run's folder.
        history: all logged numbers, both stages.
        tracker: the MLflow run.
        fingerprint: identifies configuration and data; checkpoints carry it.
    """

    def __init__(
        self,
        *,
        output_dir: str | Path,
        datalist: str | Path,
        seed: int,
        device: str | torch.device = "cpu",
        method: str = "remd",
        resume: str | bool = "auto",
        stages: list[str] | tuple[str, ...] = STAGES,
        tracking: bool = True,
        experiment: str = "remd",
        run_name: str = "remd",
        threads: int | None = None,
        config: dict[str, Any] | None = None,
    ) -> None:
        unknown = [stage for stage in stages if stage not in STAGES]
        if unknown or not stages:
            msg = f"stages must name some of {list(STAGES)}, got {list(stages)}."
            raise MedmdError(msg)
        self.folder = Path(output_dir)
        self.datalist = Path(datalist)
        self.seed = seed
        self.device = device
        self.method = method
        self.resume = resume
        self.stages = tuple(stages)
        self.run_name = run_name
        self.history = History()
        self.tracker = MLflowRun(folder=self.folder, experiment=experiment, name=run_name, enabled=tracking)
        self._digest = sha256_file(self.datalist)
        self._config = _raw_config() if config is None else config
        self.fingerprint = fingerprint(self._config, self._digest)
        if threads is not None:
            torch.set_num_threads(threads)

    @property
    def config(self) -> dict[str, Any]:
        """The raw configuration of the run."""
        return self._config

    def open(self) -> None:
        """Make the folder ready, or refuse it; nothing has been computed yet."""
        goes_on = open_folder(self.folder, self._config, self._digest, self.resume)
        if not goes_on:
            write_run_file(self.folder, self._description(), self._config)
        _LOGGER.info("%s the run in %s.", "Going on with" if goes_on else "Beginning", self.folder)

    def run(self, **steps: Callable[[], Any]) -> None:
        """Run the stages that were asked for, in order.

        Args:
            steps: by name of the stage, what to call. A trainer's `run`, usually.
        """
        self.tracker.start(parameters=self._parameters(), tags=self._tags())
        status = "FAILED"
        try:
            self.tracker.log_file(self.folder / RUN_FILE)
            for stage in STAGES:
                if stage in steps and (stage in self.stages or stage in self._finished()):
                    # A finished stage that is run again only puts its best weights back.
                    steps[stage]()
                    self._remember(stage)
            status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        finally:
            self.tracker.finish(status)

    def _finished(self) -> list[str]:
        path = self.folder / _PROGRESS_FILE
        return [name for name in read_json(path)["finished"] if name != "evaluate"] if path.exists() else []

    def _remember(self, stage: str) -> None:
        finished = [*self._finished(), stage]
        write_json(self.folder / _PROGRESS_FILE, {"finished": [name for name in STAGES if name in finished]})

    def _description(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "run_name": self.run_name,
            "seed": self.seed,
            "fingerprint": self.fingerprint,
            "datalist_sha256": self._digest,
            "environment": environment(self.device),
        }

    def _tags(self) -> dict[str, str]:
        return {"method": self.method, "datalist_sha256": self._digest, **environment(self.device)}

    def _parameters(self) -> dict[str, Any]:
        """The configuration's plain settings, flat. Places are left out: a path may hold a name."""
        flat: dict[str, Any] = {}
        _flatten({name: self._config[name] for name in self._config if name not in _NOT_LOGGED}, "", flat)
        return flat


_NOT_LOGGED = frozenset(
    {
        "imports", "_meta_", "output_dir", "dataset_dir", "phantom_dir", "bundle_root", "initialize", "run", "finalize",
        "preprocessing", "augmentation",
    }
)  # fmt: skip


def _flatten(value: Any, where: str, into: dict[str, Any]) -> None:
    if isinstance(value, dict):
        for name, item in value.items():
            _flatten(item, f"{where}.{name}" if where else str(name), into)
    elif not isinstance(value, list) or all(isinstance(item, (int, float, bool)) for item in value):
        into[where] = value


def _raw_config() -> dict[str, Any]:
    parser = active_parser()
    if parser is None:
        return {}
    return dict(json.loads(json.dumps(parser.config, default=str)))
