"""Where the overlays of a plan are: in the installed bundle, or files of one's own."""

from __future__ import annotations

import difflib
from pathlib import Path

from medmd.commands.bundle_path import bundle_folder
from medmd.utils import MedmdError

OVERLAY_FOLDERS = {"dataset": "data", "method": "methods"}
_KNOWN = ("data", "methods", "presets")


def find_overlay(name: str, *, default: str, base: Path) -> str:
    """The name of an overlay as a plan keeps it: `methods/sgm` of the bundle, or the whole path of a file.

    Args:
        name: `sgm`, `methods/sgm`, `presets/tiny`, or a path that ends in `.json`.
        default: folder of the bundle in which a bare name is looked for.
        base: against which a path is meant.

    Raises:
        MedmdError: there is no such overlay; the text names the nearest one.
    """
    if name.endswith(".json"):
        path = (base / Path(name).expanduser()).absolute()
        if not path.is_file():
            msg = f"no file {name}. Expected an overlay beside the plan, or the name of one in the bundle."
            raise MedmdError(msg)
        return str(path)
    asked = name if "/" in name else f"{default}/{name}"
    known = [f"{folder}/{path.stem}" for folder in _KNOWN for path in sorted((bundle_folder() / folder).glob("*.json"))]
    if asked not in known:
        near = difflib.get_close_matches(asked, known, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Expected one of {', '.join(known)}."
        msg = f"the bundle has no {asked!r}. {hint}"
        raise MedmdError(msg)
    return asked


def overlay_file(name: str) -> Path:
    """The file of an overlay that `find_overlay` named."""
    return Path(name) if name.endswith(".json") else bundle_folder() / f"{name}.json"
