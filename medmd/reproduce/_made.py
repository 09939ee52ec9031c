"""Trainings of the bundle for figures 2 and 5: those that are at hand, their datalist, and what is missing of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from medmd.reproduce._bundle import bundle_run, is_finished, trainings
from medmd.reproduce._items import Item
from medmd.reproduce._run import EPOCHS, PHANTOM
from medmd.utils import MedmdError, progress, read_json, sha256_file


def named_trainings(texts: Iterable[str]) -> dict[str, Path]:
    """Folders of trainings by name, from texts such as `mmpareto-all=runs/mmpareto`; a folder alone is `sgm-all`.

    Raises:
        MedmdError: there is no training of that name, or no such folder.
    """
    found = {}
    for text in texts:
        name, equals, place = text.partition("=")
        name, folder = (name, Path(place)) if equals else ("sgm-all", Path(text))
        if name not in trainings():
            msg = f"--run-dir: expected NAME=DIR with one of {', '.join(trainings())}; got {text}."
            raise MedmdError(msg)
        if not (folder / "history.csv").is_file():
            msg = f"--run-dir: expected the folder of a finished training with history.csv; got {text}."
            raise MedmdError(msg)
        found[name] = folder
    return found


def made_trainings(folder: Path) -> dict[str, Path]:
    """The finished trainings in a folder, by name."""
    return {name: folder / name for name in trainings() if is_finished(folder / name)}


def datalist_of(folders: Mapping[str, Path], candidates: Collection[Path]) -> Path | None:
    """The first of some datalists that all trainings were made from, by its content; None when there is none."""
    files = [folder / "run.json" for folder in folders.values()]
    made_from = {read_json(file).get("datalist_sha256") if file.is_file() else None for file in files}
    return next((path for path in candidates if path.is_file() and made_from == {sha256_file(path)}), None)


def train_missing(
    item: Item,
    folder: Path,
    *,
    overlays: Sequence[str] = (),
    epochs: int | None = None,
    seed: int = 0,
    data: Path | None = None,
    eyes: int | None = None,
    named: Collection[str] = (),
) -> None:
    """Run every training of an item that is not there yet, one after the other.

    Args:
        item: figure 2 or 5.
        folder: of the trainings.
        overlays: of the data set.
        epochs: of each stage; None for 30.
        seed: of all.
        data: folder of the data set, or its datalist; None for a phantom in `folder`.
        eyes: of the phantom; None for 480.
        named: names of trainings that are elsewhere.

    Raises:
        MedmdError: a training failed, or one of other settings is there.
    """
    wanted = [name for name in (trainings() if item.kind == "curves" else ["sgm-all"]) if name not in named]
    phantom = {"phantom_dir": str(folder / "phantom"), "phantom#n": eyes or PHANTOM["n"]}
    place: dict[str, Any] = phantom if data is None else {"dataset_dir": str(data)}
    lengths = dict.fromkeys(("pretrain_epochs", "train_epochs"), epochs or EPOCHS)
    for name in progress(wanted, total=len(wanted), description="Training", unit="run"):
        own, settings = trainings()[name]
        bundle_run(folder / name, overlays=[*overlays, *own], overrides={**place, **lengths, "seed": seed, **settings})
