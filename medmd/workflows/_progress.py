"""Which stages of a run were begun and which are finished, kept in its folder."""

from __future__ import annotations

from pathlib import Path

from medmd.utils import read_json, write_json

PROGRESS_FILE = "progress.json"


class Progress:
    """The record of a run's stages.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / PROGRESS_FILE
        found = read_json(self._path) if self._path.exists() else {}
        self.begun: tuple[str, ...] = tuple(found.get("begun", ()))
        self.finished: tuple[str, ...] = tuple(found.get("finished", ()))

    @property
    def finished_training(self) -> tuple[str, ...]:
        """The finished stages that leave weights; run again, they only put their best weights back."""
        return tuple(stage for stage in self.finished if stage != "evaluate")

    def begin(self, stage: str) -> None:
        """Record that a stage begins; once it has, it has, also when it goes on later."""
        if stage not in self.begun:
            self.begun = (*self.begun, stage)
            self._write()

    def finish(self, stage: str) -> None:
        """Record that a stage is finished."""
        if stage not in self.finished:
            self.finished = (*self.finished, stage)
            self._write()

    def reopen(self, *stages: str, begun: bool = True) -> None:
        """Record that stages are not finished after all.

        Args:
            stages: their names.
            begun: false when they have to begin anew.
        """
        self.finished = tuple(stage for stage in self.finished if stage not in stages)
        if not begun:
            self.begun = tuple(stage for stage in self.begun if stage not in stages)
        self._write()

    def _write(self) -> None:
        write_json(self._path, {"begun": list(self.begun), "finished": list(self.finished)})
