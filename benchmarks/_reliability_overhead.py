"""What a kill costs: the time until a resumed run does its first step, the steps that are lost, what saving takes."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser

from benchmarks._reliability_bench import Bench, last_lines
from benchmarks._reliability_compare import compare_runs
from benchmarks._reliability_starts import ROOT, run_plain
from benchmarks._reliability_traps import Trap
from medmd.data import PhantomCohort

Tell = Callable[[str], None]
_FILES = "['bundles/remd/train.json']"
_SETTINGS = {"pretrain_epochs": 1, "train_epochs": 2, "batch_size": 8}
_WATCHED = {"step": "medmd.engines:FusionTrainer._iteration", "save": "medmd.handlers:Checkpoint._write"}


def measure_overhead(bench: Bench, eyes: Path, *, kill_at: int, tell: Tell) -> dict[str, Any]:
    """Train the default network once undisturbed and once killed at a step of stage 2, both as plain commands.

    Args:
        bench: for sources and folder.
        eyes: the cohort; fewer eyes than the default one.
        kill_at: step of stage 2 at whose beginning the run is killed.
        tell: gets a line for each start.

    Raises:
        RuntimeError: a start does not end as it should.
    """
    home = bench.work / "overhead"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    whole = _start(bench, eyes, home / "whole")
    tell(f"undisturbed: {whole['seconds']:.1f} s")
    killed = _start(bench, eyes, home / "killed", kill_at)
    tell(f"killed at step {kill_at} of stage 2 after {killed['seconds']:.1f} s")
    resumed = _start(bench, eyes, home / "killed")
    tell(f"resumed: {resumed['first_step']:.1f} s until its first step, {resumed['seconds']:.1f} s in all")
    both = killed["seconds"] + resumed["seconds"]
    return {
        "settings": {**bench.settings(), **_SETTINGS},
        "kill_at": kill_at,
        "equal": not compare_runs(home / "whole", home / "killed").differences,
        "whole_seconds": whole["seconds"],
        "first_step_seconds": whole["first_step"],
        "killed_seconds": killed["seconds"],
        "resumed_seconds": resumed["seconds"],
        "resumed_first_step_seconds": resumed["first_step"],
        # Steps that were begun before the kill and are done again; the one at whose beginning it struck is not.
        "lost_steps": kill_at - 1 - (len(whole["steps"]) - len(resumed["steps"])),
        "overhead_seconds": both - whole["seconds"],
        "overhead_of_run": both / whole["seconds"] - 1,
        **_costs(whole),
        "checkpoint_mib": {
            stage: max(path.stat().st_size for path in (home / "whole" / "checkpoints" / stage).glob("*.pt")) / 2**20
            for stage in ("pretrain", "train")
        },
    }


def _start(bench: Bench, eyes: Path, folder: Path, kill_at: int = 0) -> dict[str, Any]:
    marks = folder.with_name(f"{folder.name}.marks")
    marks.unlink(missing_ok=True)
    traps = [
        Trap(f"{name} {when}", target, when=when, marks=str(marks))
        for name, target in _WATCHED.items()
        for when in ("before", "after")
    ]
    if kill_at:
        traps.append(Trap("kill", _WATCHED["step"], call=kill_at))
    words = bench.words(folder, files=_FILES, dataset_dir=eyes, **_SETTINGS)
    begin = time.monotonic()
    end = run_plain(bench.source, words, log=folder.with_name(f"{folder.name}.log"), traps=traps)
    if end.hung or end.was_killed != bool(kill_at) or (end.code and not kill_at):
        msg = f"A start ended with code {end.code}: {last_lines(folder)}"
        raise RuntimeError(msg)
    times = _times(marks)
    return {
        "seconds": end.seconds,
        "first_step": times["step before"][0] - begin,
        **{f"{name}s": _spans(times, name) for name in _WATCHED},
    }


def _times(marks: Path) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for line in marks.read_text(encoding="utf-8").splitlines():
        name, moment = line.rsplit(" ", 1)
        found.setdefault(name, []).append(float(moment))
    return found


def _spans(times: dict[str, list[float]], name: str) -> list[float]:
    # A step at which the process died has a beginning only.
    return [b - a for a, b in zip(times[f"{name} before"], times.get(f"{name} after", []), strict=False)]


def _costs(whole: dict[str, Any]) -> dict[str, float]:
    """What saving takes, beside an epoch of the default training at this run's speed, without its validation."""
    step, save = statistics.median(whole["steps"]), statistics.median(whole["saves"])
    epoch = default_steps() * step
    return {
        "save_seconds": save,
        "saves": len(whole["saves"]),
        "step_seconds": step,
        "default_steps_per_epoch": default_steps(),
        "default_epoch_seconds": epoch,
        "save_of_default_epoch": save / epoch,
    }


def default_steps() -> int:
    """Steps of an epoch of the default training."""
    config = ConfigParser.load_config_file(str(ROOT / "bundles" / "remd" / "train.json"))
    return PhantomCohort(**config["phantom"]).splits.count("training") // int(config["batch_size"])
