"""One training from start to end: its folder, its stages, its MLflow run, and a truthful last status."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from medmd.handlers import History, MLflowRun, check_checkpoints, remove_leftovers
from medmd.utils import STOP, MedmdError, Stopped, sha256_file, write_json
from medmd.workflows._folder import (
    CONFIG_FILE,
    LENGTHS,
    RUN_FILE,
    fingerprint,
    identity,
    is_private,
    open_folder,
    write_run_file,
)
from medmd.workflows._hide import hide_places
from medmd.workflows._lock import hold_folder
from medmd.workflows._longer import Longer, after, begin_longer, plan_longer
from medmd.workflows._parser import active_parser
from medmd.workflows._progress import Progress
from medmd.workflows._scrub import scrub
from medmd.workflows._settings import check_settings
from medmd.workflows._stages import STAGES, check_stages
from medmd.workflows._stop import go_on_advice
from medmd.workflows._versions import environment

_LOGGER = logging.getLogger(__name__)


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
        pretraining: false for a method without stage 1, whose `pretrain` is then never run.
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
        identity: what the fingerprint stands for, as plain data without paths; checkpoints carry it too.
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
        pretraining: bool = True,
        tracking: bool = True,
        experiment: str = "remd",
        run_name: str = "remd",
        threads: int | None = None,
        config: dict[str, Any] | None = None,
    ) -> None:
        self.folder = Path(str(output_dir))
        self.datalist = Path(datalist)
        self.seed = seed
        self.device = device
        self.method = method
        self.resume = resume
        self.stages = tuple(stage for stage in stages if pretraining or stage != "pretrain")
        self.run_name = run_name
        self.history = History()
        self.tracker = MLflowRun(folder=self.folder, experiment=experiment, name=run_name, enabled=tracking)
        hide_places({"output_dir": self.folder, "dataset_dir": self.datalist.parent})
        self._digest = sha256_file(self.datalist)
        self._config = _raw_config() if config is None else config
        self.fingerprint = fingerprint(self._config, self._digest)
        self.identity = identity(self._config, self._digest)
        self._longer: list[Longer] = []
        self._earlier: Path | None = None
        if threads is not None:
            torch.set_num_threads(threads)

    @property
    def config(self) -> dict[str, Any]:
        """The raw configuration of the run."""
        return self._config

    def open(self) -> None:
        """Make the folder ready, or refuse it; nothing has been computed yet.

        Raises:
            MedmdError: a setting that nothing uses, stages that cannot be run one after the other, or a folder that
                holds something else or in which another process trains; nothing was touched then.
        """
        check_settings(self._config)
        STOP.advice = go_on_advice(self.resume)
        with STOP.held():
            self._open()

    def _open(self) -> None:
        if (self.folder / RUN_FILE).is_file():
            # Before the run of another process could be moved aside.
            hold_folder(self.folder)
        goes_on = open_folder(self.folder, self._config, self._digest, self.resume, self._check)
        hold_folder(self.folder)
        if goes_on and (self.folder / CONFIG_FILE).exists():
            remove_leftovers(self.folder)
            self._earlier = begin_longer(self.folder, self._config, self._longer)
        else:
            write_run_file(self.folder, self._description(), self._config)
        _LOGGER.info("%s the run in %s.", "Going on with" if goes_on else "Beginning", self.folder)

    def run(self, **steps: Callable[[], Any]) -> None:
        """Run the stages that were asked for, in order, and put back those that finished earlier.

        Args:
            steps: by name of the stage, what to call. A trainer's `run`, usually.

        Raises:
            Stopped: SIGTERM or Ctrl-C came. A training stage ends after the step that runs, once that is saved.
        """
        status, generation = "FAILED", STOP.install()
        STOP.advice = go_on_advice(self.resume)
        try:
            with STOP.held():
                self.tracker.start(parameters=self._parameters(), tags=self._tags())
                self._log_start()
            for stage in STAGES:
                if stage in steps and (stage in self.stages or stage in self._progress.finished_training):
                    self._progress.begin(stage)
                    self._run_stage(stage, steps[stage])
                    self._progress.finish(stage)
            status = "FINISHED"
        except (KeyboardInterrupt, Stopped):
            status = "KILLED"
            raise
        except Exception as error:
            if STOP.requested is None:
                raise
            # What else was ended by the same signal, such as a loader's worker, is no failure of its own.
            status = "KILLED"
            _LOGGER.info("After the signal: %s", error)
            STOP.stop(STOP.requested)
        finally:
            with STOP.held(check=False):
                self._close(status)
            STOP.restore(generation)

    def _run_stage(self, stage: str, step: Callable[[], Any]) -> None:
        if stage not in LENGTHS:
            step()
            return
        # Its checkpoint handler looks for a signal after each step.
        with STOP.held():
            step()
            if STOP.requested is not None:
                self.history.write(self.folder / "history.csv")

    def _close(self, status: str) -> None:
        try:
            self.tracker.finish(status)
        except MedmdError as error:
            if status == "FINISHED":
                raise
            # What ended the run matters more than that its end could not be told.
            _LOGGER.warning("%s", error)

    @property
    def _progress(self) -> Progress:
        return Progress(self.folder)

    def _check(self, *, goes_on: bool) -> None:
        if not goes_on:
            check_stages(self.stages, begun=(), finished=())
            return
        for stage in LENGTHS:
            folder = self.folder / "checkpoints" / stage
            check_checkpoints(folder, fingerprint=self.fingerprint, identity=self.identity)
        self._longer = plan_longer(self.folder, self._config, self.stages)
        begun, finished = after(self._longer, self._progress)
        check_stages(self.stages, begun=begun, finished=finished)

    def _log_start(self) -> None:
        self.tracker.log_file(self.folder / RUN_FILE)
        with tempfile.TemporaryDirectory(prefix="medmd-") as folder:
            path = Path(folder) / CONFIG_FILE
            write_json(path, scrub({name: value for name, value in self._config.items() if name != "_meta_"}))
            self.tracker.log_file(path)
        if self._earlier is not None and not any(change.stage == "pretrain" for change in self._longer):
            # After a longer pretraining another MLflow run begins; the one before holds its own results.
            self.tracker.log_file(self._earlier, self._earlier.relative_to(self.folder).as_posix())
        if self._longer and self.tracker.run_id is not None:
            # A parameter of MLflow is written once; a tag may be overwritten.
            with self.tracker.speaking():
                for change in self._longer:
                    self.tracker.client.set_tag(self.tracker.run_id, LENGTHS[change.stage], str(change.now))

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
        kept = {name: value for name, value in self._config.items() if name not in _NOT_LOGGED and not is_private(name)}
        flat: dict[str, Any] = {}
        _flatten(scrub(kept), "", flat)
        return flat


_NOT_LOGGED = frozenset(
    {
        "imports", "output_dir", "dataset_dir", "phantom_dir", "bundle_root", "initialize", "run", "finalize",
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
