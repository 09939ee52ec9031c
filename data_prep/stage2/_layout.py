"""Which release it is, which of its parts are there, and which tables belong to which part."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data_prep._tables import SUFFIXES
from data_prep.stage2._tree import File, ImageFolder, Tree, read_tree
from medmd.utils import MedmdError

TRAINING, VALIDATION, TESTING = "training", "validation", "testing"
_WORDS = {
    TRAINING: {"train", "training"},
    VALIDATION: {"val", "valid", "validation"},
    TESTING: {"test", "testing", "final"},
}
STAGE_2023, STAGE_2024, GAMMA = "stage2023", "stage2024", "gamma"
MD, GRADE, INFO, OTHER_TASK = "md", "grade", "info", "other_task"


@dataclass(frozen=True)
class Part:
    """The eyes of one part of the release with their tables.

    Args:
        kind: `training`, `validation` or `testing`.
        images: folder and eyes.
        labels: table of MD, or of GAMMA's grades; None when the part has none.
        info: table of sex, age, eye and stage; None when there is none.
    """

    kind: str
    images: ImageFolder
    labels: File | None
    info: File | None


@dataclass(frozen=True)
class Release:
    """What was found.

    Args:
        layout: `stage2023` (OCT), `stage2024` (OCT and fundus) or `gamma` (OCT one folder deeper, grades).
        parts: in the order training, validation, testing.
        strays: files of no eye and no part -> reason.
        total: number of all files.
    """

    layout: str
    parts: tuple[Part, ...]
    strays: dict[str, str]
    total: int


def find_release(source: Path, *, validation: Path | None = None) -> Release:
    """Detect the layout below `source`.

    Args:
        source: the release, or one part of it.
        validation: the release's validation part when it lies elsewhere.

    Raises:
        MedmdError: there are no eyes, several releases, two folders for one part, two tables for one purpose, or a
            training part without labels.
    """
    sources = [("", source)] if validation is None else [("", source), ("--validation/", validation)]
    for _, path in sources:
        if not path.is_dir():
            msg = f"{path}: expected the folder of a release, there is none."
            raise MedmdError(msg)
    tree = read_tree(sources, tables=SUFFIXES)
    if not tree.images:
        msg = (
            f"{source}: found no eyes. Expected folders such as training_images/0001 with slices 0_image.jpg, "
            "1_image.jpg …, as STAGE, STAGE2 and GAMMA have them. Unpack the archives and name the folder."
        )
        raise MedmdError(msg)
    layout = _layout(tree)
    parts = _parts(tree, layout, sources)
    used = {file.name for part in parts for file in (part.labels, part.info) if file}
    strays = dict(tree.strays)
    for file in tree.tables:
        if file.name not in used:
            strays[file.name] = OTHER_TASK if _role(file) == OTHER_TASK else "table_unused"
    return Release(layout, parts, strays, tree.total)


def _layout(tree: Tree) -> str:
    eyes = [eye for folder in tree.images for eye in folder.eyes.values()]
    nested = [eye for eye in eyes if eye.nested]
    flat = [eye for eye in eyes if eye.slices and not eye.nested]
    if nested and flat:
        msg = (
            f"The source holds slices both in folders like {nested[0].name} (GAMMA) and like {flat[0].name} (STAGE): "
            "several releases. Convert each by itself."
        )
        raise MedmdError(msg)
    if nested:
        return GAMMA
    return STAGE_2024 if any(eye.fundus for eye in eyes) else STAGE_2023


def _parts(tree: Tree, layout: str, sources: Sequence[tuple[str, Path]]) -> tuple[Part, ...]:
    parts: dict[str, Part] = {}
    for folder in tree.images:
        kind = _kind(folder.path, sources) or _only_kind(tree)
        labels = _table(tree, folder, kind, GRADE if layout == GAMMA else MD)
        part = Part(kind, folder, labels, _table(tree, folder, kind, INFO))
        if kind in parts:
            msg = (
                f"The source has two folders for {kind}: {parts[kind].images.name} and {folder.name}. "
                "Convert each release by itself; remove copies."
            )
            raise MedmdError(msg)
        if kind == TRAINING and labels is None:
            wanted = "glaucoma_grading_training_GT.xlsx" if layout == GAMMA else "task1_GT_training.csv (or .xlsx)"
            msg = f"{folder.name}: training eyes without labels. Expected the release's {wanted} beside the folder."
            raise MedmdError(msg)
        parts[kind] = part
    return tuple(parts[kind] for kind in _WORDS if kind in parts)


def _only_kind(tree: Tree) -> str:
    """The kind of a folder whose path says none: by the label tables that are there."""
    kinds = {_file_kind(file) for file in tree.tables if _role(file) in (MD, GRADE)}
    kinds.discard(None)
    return next(iter(kinds)) or TRAINING if len(kinds) == 1 else TRAINING


def _kind(path: Path, sources: Sequence[tuple[str, Path]]) -> str | None:
    """What the folder's path says, its deepest name first; the source's own name counts last."""
    prefix, source = next(pair for pair in reversed(sources) if path.is_relative_to(pair[1]))
    names = [*reversed(path.relative_to(source).parts), source.resolve().name]
    said = next((kind for name in names if (kind := _named_kind(name))), None)
    return said or (VALIDATION if prefix else None)


def _named_kind(name: str) -> str | None:
    words = set(re.split(r"[^a-z]+", name.lower()))
    return next((kind for kind, known in _WORDS.items() if words & known), None)


def _file_kind(file: File) -> str | None:
    names = [file.path.stem, *reversed(file.name.split("/")[:-1])]
    return next((kind for name in names if (kind := _named_kind(name))), None)


def _role(file: File) -> str | None:
    stem = file.path.stem.lower()
    if re.match(r"task1_gt", stem):
        return MD
    if re.match(r"task\d+_gt", stem):
        return OTHER_TASK
    if stem.startswith("data_info"):
        return INFO
    return GRADE if stem.startswith("glaucoma_grading") else None


def _table(tree: Tree, folder: ImageFolder, kind: str, role: str) -> File | None:
    """The table of that role for the part: of its kind (for training also of none), and the nearest."""
    found = [file for file in tree.tables if _role(file) == role]
    candidates = [file for file in found if _file_kind(file) == kind]
    if not candidates and kind == TRAINING:
        candidates = [file for file in found if _file_kind(file) is None]
    near = [_shared_depth(file.path, folder.path) for file in candidates]
    best = [file for file, depth in zip(candidates, near, strict=True) if depth == max(near)]
    if len(best) > 1:
        msg = (
            f"Two tables for one purpose: {', '.join(file.name for file in best)}. Leave the one that counts for "
            f"{folder.name}."
        )
        raise MedmdError(msg)
    return best[0] if best else None


def _shared_depth(first: Path, second: Path) -> int:
    return len(Path(os.path.commonpath([first.absolute(), second.absolute()])).parts)
