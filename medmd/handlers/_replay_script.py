"""Runs a training again up to the step at which it stopped, and shows what happened there.

    python replay.py

It reads the files beside it (the run's configuration, its newest good checkpoints, step.json), copies them to a scratch
folder, goes on there from the checkpoint, and removes the scratch folder. Nothing of the run is changed. Random numbers
depend on seed, stage and step alone, so that the step is the same as in the run, as long as data, configuration and
machine are. Change this file as you like: write_replay made it for you to experiment with.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Events

BESIDE = Path(__file__).resolve().parent
STEPS_BEFORE = 2  # that are shown too


def main() -> None:
    """Rebuild the run, go on to the step, show it."""
    facts = json.loads((BESIDE / "step.json").read_text(encoding="utf-8"))
    say(f"What the run said:\n  {facts['what']}\n")
    if facts["working_folder"] is not None:
        # Relative paths in the configuration, and modules of your own, start where training was started.
        os.chdir(BESIDE / facts["working_folder"])
    sys.path.insert(0, str(Path.cwd()))
    with tempfile.TemporaryDirectory(prefix="replay-") as scratch:
        run = Path(scratch) / "run"
        shutil.copytree(BESIDE, run)
        replay(run, facts["stage"], facts["step"])


def replay(run: Path, stage: str, step: int) -> None:
    """Go on with the run in the folder `run` until the stage's `step`."""
    from monai.bundle import ConfigWorkflow

    workflow = ConfigWorkflow(
        workflow_type="train",
        config_file=str(run / "config.json"),
        meta_file=[],
        logging_file=False,
        output_dir=str(run),
        stages=[stage],
        resume=True,
        track=False,
        log_every=1,
    )
    workflow.initialize()
    trainer = workflow.parser.get_parsed_content(f"{stage}#trainer")
    workflow.parser.get_parsed_content(f"{stage}#finite").folder = None  # no replay of the replay

    def before(engine: Any) -> None:
        if engine.state.iteration == step:
            report_weights(engine.network)
            # From here on, the operation whose derivative is not a number raises an error that names it.
            torch.autograd.set_detect_anomaly(True)

    def after(engine: Any) -> None:
        if engine.state.iteration >= step - STEPS_BEFORE:
            show(engine.seen)
            shown.append(engine.state.iteration)
        if engine.state.iteration > step:
            engine.terminate()

    shown: list[int] = []
    trainer.add_event_handler(Events.ITERATION_STARTED, before)
    trainer.add_event_handler(Events.ITERATION_COMPLETED, after)
    try:
        workflow.run()
    except Exception as error:  # noqa: BLE001 - whatever ends it is what is looked for
        if trainer.seen is not None and trainer.seen.iteration not in shown:
            show(trainer.seen)
        cause = root(error)
        say(f"It ended with {type(cause).__name__}: {cause}")
    else:
        say(f"Step {step} went well this time: something that it depends on has changed.")


def root(error: BaseException) -> BaseException:
    """What MONAI wrapped, perhaps more than once."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def report_weights(network: torch.nn.Module) -> None:
    """Say which weights were no numbers before the step already."""
    bad = [name for name, value in network.state_dict().items() if not bool(torch.isfinite(value).all())]
    say(f"Weights before the step: {'all finite' if not bad else 'not finite: ' + ', '.join(bad)}\n")


def show(record: Any) -> None:
    """Print the losses of a step, and a line for each of its cases."""
    say(f"Step {record.iteration} of epoch {record.epoch}")
    for name, value in record.loss_values().items():
        say(f"  {name:<24}{value:>14.6g}")
    table = record.table()
    say("  " + "".join(f"{name:>20}" for name in ("case", *table)))
    for row, case in enumerate(record.case_ids):
        cells = [f"{table[name][row]:.6g}" if record.is_present(row, name) else "-" for name in table]
        say("  " + "".join(f"{cell:>20}" for cell in (case, *cells)))
    say("")


def say(text: str) -> None:
    """Print a line at once, between what others print."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
