"""The small training that is killed, repeated and compared: its eyes, its command, its undisturbed end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks._reliability_starts import End, Server, run_plain
from benchmarks._reliability_traps import Trap
from medmd.utils import read_json, write_json

TINY = "['bundles/remd/train.json','bundles/remd/presets/tiny.json']"


@dataclass(frozen=True)
class Bench:
    """Runs of one small training.

    Attributes:
        server: starts them.
        source: the sources that are run.
        work: folder of all that is made.
        epochs: of each stage.
        checkpoint_every: iterations between two saves inside an epoch.
    """

    server: Server
    source: Path
    work: Path
    epochs: int = 4
    checkpoint_every: int = 4

    def eyes(self, count: int = 40) -> Path:
        """A phantom cohort of `count` eyes, some of them without a photograph."""
        folder = self.work / f"eyes-{count}"
        if not (folder / "datalist.json").exists():
            from medmd.data import PhantomCohort

            PhantomCohort(count, 0, missing={"fundus": 0.2}).write(folder, contact_sheet=False)
        return folder

    def settings(self) -> dict[str, Any]:
        """Of the training, as overrides of the bundle's configuration."""
        return {
            "pretrain_epochs": self.epochs,
            "train_epochs": self.epochs,
            "batch_size": 4,
            "device": "cpu",
            "threads": 1,
            **self._saving(),
        }

    def _saving(self) -> dict[str, int]:
        config = read_json(self.source / "bundles" / "remd" / "train.json")
        if "checkpoint_every" in config:
            return {"checkpoint_every": self.checkpoint_every}
        found = {}
        for stage in ("pretrain", "train"):
            names = [handler["_target_"] for handler in config[stage]["handlers"]]
            found[f"{stage}#handlers#{names.index('medmd.handlers.Checkpoint')}#every"] = self.checkpoint_every
        return found

    def words(self, folder: Path, *, files: str = TINY, **overrides: Any) -> list[str]:
        """The words after `python -m monai.bundle`."""
        chosen = {"dataset_dir": self.eyes(), "output_dir": folder, **self.settings(), **overrides}
        pairs = [(f"--{name}", str(value)) for name, value in chosen.items() if value is not None]
        return ["run", "--config_file", files, *[word for pair in pairs for word in pair]]

    def start(
        self,
        folder: Path,
        *,
        traps: tuple[Trap, ...] = (),
        kill_after: float | None = None,
        plain: bool = False,
        **overrides: Any,
    ) -> End:
        """Start the command in `folder`; its output goes to `<folder>.log`."""
        words, log = self.words(folder, **overrides), folder.with_name(folder.name + ".log")
        log.parent.mkdir(parents=True, exist_ok=True)
        if plain:
            return run_plain(self.source, words, log=log, kill_after=kill_after)
        return self.server.run(words, log=log, traps=traps, kill_after=kill_after)

    def undisturbed(self, name: str = "undisturbed", **options: Any) -> tuple[Path, float]:
        """Folder and seconds of the processor of a run that nobody kills; made once.

        Raises:
            RuntimeError: it fails.
        """
        folder, note = self.work / name, self.work / f"{name}.json"
        if not note.exists():
            end = self.start(folder, **options)
            if end.code:
                msg = f"The undisturbed run failed:\n{last_lines(folder)}"
                raise RuntimeError(msg)
            write_json(note, {"seconds": end.seconds, "processor": end.processor})
        return folder, float(read_json(note)["processor"])


def last_lines(folder: Path, count: int = 3) -> str:
    """The end of a run's output."""
    log = folder.with_name(folder.name + ".log")
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    return "\n".join([line for line in lines if line.strip()][-count:])


def reached(folder: Path) -> str:
    """How far the run in `folder` has got, from its own files."""
    if not (folder / "run.json").exists():
        return "before its folder was made"
    path = folder / "progress.json"
    progress = read_json(path) if path.exists() else {"begun": [], "finished": []}
    if not progress["begun"]:
        return "before stage 1"
    stage = progress["begun"][-1]
    if stage in progress["finished"]:
        return f"after {stage}"
    saved = sorted((folder / "checkpoints" / stage).glob("checkpoint-*.pt"))
    return f"in {stage}" + (f", step {int(saved[-1].stem[-8:])} saved" if saved else "")
