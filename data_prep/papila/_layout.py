"""Where the sheets and the photographs lie, and what every other file is."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from medmd.utils import MedmdError

SHEETS = {"R": "patient_data_od.xlsx", "L": "patient_data_os.xlsx"}
CLINICAL, PHOTOGRAPHS = "ClinicalData", "FundusImages"
_PHOTOGRAPH = re.compile(r"RET(\d{1,6})(OD|OS)\.(?:jpe?g|png|tiff?)", re.IGNORECASE)
_SIDES = {"OD": "R", "OS": "L"}
_LITTER = re.compile(r"\..*|~\$.*|thumbs\.db|desktop\.ini", re.IGNORECASE)
_LITTER_FOLDER = "__MACOSX"

EyeKey = tuple[int, str]


@dataclass
class Layout:
    """The release on disk.

    Args:
        root: the folder that holds `ClinicalData` and `FundusImages`.
        sheets: laterality -> file.
        photographs: (patient, laterality) -> files, more than one being a fault.
        others: path below the root -> reason.
    """

    root: Path
    sheets: dict[str, Path]
    photographs: dict[EyeKey, list[Path]] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)

    def name(self, path: Path) -> str:
        """How reports call a file."""
        return path.relative_to(self.root).as_posix()


def find_release(source: Path) -> Layout:
    """Find the release in `source` or below it: the archive unpacks into a folder named after a commit.

    Raises:
        MedmdError: it is not there, twice there, or lacks a sheet or the photographs.
    """
    found = source.rglob(f"{CLINICAL}/{SHEETS['R']}") if source.is_dir() else []
    roots = sorted(path.parent.parent for path in found)
    if len(roots) != 1:
        got = "none" if not roots else f"{len(roots)}"
        msg = (
            f"{source}: expected one PAPILA release with {CLINICAL}/{SHEETS['R']} in it, found {got}. Unpack "
            "PAPILA.zip and name its folder."
        )
        raise MedmdError(msg)
    root = roots[0]
    layout = Layout(root, {side: root / CLINICAL / name for side, name in SHEETS.items()})
    for needed in (*layout.sheets.values(), root / PHOTOGRAPHS):
        if not needed.exists():
            msg = f"{source}: expected {layout.name(needed)} beside {CLINICAL}/{SHEETS['R']}. Unpack PAPILA.zip again."
            raise MedmdError(msg)
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            _sort_in(layout, Path(folder) / name)
    return layout


def _sort_in(layout: Layout, path: Path) -> None:
    name = layout.name(path)
    photograph = _PHOTOGRAPH.fullmatch(path.name) if path.parent == layout.root / PHOTOGRAPHS else None
    if _LITTER.fullmatch(path.name) or _LITTER_FOLDER in name.split("/"):
        layout.others[name] = "system_file"
    elif photograph:
        key = int(photograph[1]), _SIDES[photograph[2].upper()]
        layout.photographs.setdefault(key, []).append(path)
    elif path not in layout.sheets.values():
        layout.others[name] = "not_of_the_release" if name.startswith(f"{PHOTOGRAPHS}/") else "not_needed"
