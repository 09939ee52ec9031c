"""More epochs for a stage that was planned shorter: its schedule becomes that of the longer run."""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass
from typing import Any


@dataclass
class _Schedule:
    """An optimizer's schedule as it was built, before a checkpoint was read into it."""

    optimizer: Any
    scheduler: Any
    state: dict[str, Any]
    options: list[dict[str, Any]]


class FreshSchedules:
    """The schedules of a trainer as the configuration of now builds them.

    A checkpoint's schedule has the length of the run that wrote it; `CosineAnnealingLR` would rise again after it.
    Continued instead is the schedule of the longer run, entered at the step that was reached: after 20 of 20 epochs a
    cosine has come down to 0; after 20 of 40 it stands at half of its height, and falls to 0 over the 20 that were
    added. The value is that of a run of 40 epochs at this step, bit for bit.

    Args:
        engine: a trainer of this package, nothing read into it yet.
    """

    def __init__(self, engine: Any) -> None:
        self._schedules = [
            _Schedule(optimizer, scheduler, copy.deepcopy(scheduler.state_dict()), _options(optimizer))
            for optimizer, scheduler in _pairs(engine)
        ]

    def enter(self) -> list[tuple[float, float]]:
        """Bring each schedule to the step that the one which was read has reached.

        Returns:
            For each optimizer its learning rate before and now.
        """
        changes = []
        for each in self._schedules:
            before, steps = each.optimizer.param_groups[0]["lr"], each.scheduler.last_epoch
            for group, options in zip(each.optimizer.param_groups, each.options, strict=True):
                group.update(copy.deepcopy(options))
            each.scheduler.load_state_dict(copy.deepcopy(each.state))
            with warnings.catch_warnings():
                # torch expects a step of the optimizer before each: they were made, by the run that goes on here.
                warnings.simplefilter("ignore", UserWarning)
                for _ in range(steps):
                    each.scheduler.step()
            changes.append((before, each.optimizer.param_groups[0]["lr"]))
        return changes


def revive(engine: Any, objects: dict[str, Any]) -> None:
    """Let a stage that has ended go on: every modality is trained again, and patience begins anew.

    Args:
        engine: the trainer.
        objects: those of the checkpoint; each that has a method `go_on` is told.
    """
    for track in getattr(engine, "tracks", ()):
        track.active = True
    for item in objects.values():
        if hasattr(item, "go_on"):
            item.go_on()


def _pairs(engine: Any) -> list[tuple[Any, Any]]:
    tracks = getattr(engine, "tracks", None)
    owners = [engine] if tracks is None else list(tracks)
    schedules = [(owner.optimizer, getattr(owner, "scheduler", None)) for owner in owners]
    return [(optimizer, scheduler) for optimizer, scheduler in schedules if scheduler is not None]


def _options(optimizer: Any) -> list[dict[str, Any]]:
    return [
        {name: copy.deepcopy(value) for name, value in group.items() if name != "params"}
        for group in optimizer.param_groups
    ]
