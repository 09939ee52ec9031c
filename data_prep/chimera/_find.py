"""Where the records and the feature files of CHIMERA lie."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container
from pathlib import Path

from medmd.utils import MedmdError

FEATURES = ("pathology", "radiology")
_RECORD = re.compile(r"(\d{1,6})(_CD)?\.json", re.IGNORECASE)
_FEATURE = re.compile(r"(\d{1,6})_[\w-]{1,64}\.pt", re.ASCII)

Files = dict[str, dict[str, list[Path]]]


def find_records(source: Path) -> dict[str, Path]:
    """Patient -> record.

    Raises:
        MedmdError: there is none, or a patient has two.
    """
    records: dict[str, Path] = {}
    for path in sorted(source.rglob("*.json")):
        match = _RECORD.fullmatch(path.name)
        if match and match[1] in records:
            msg = f"{source}: patient {match[1]} has two records. Name the folder of one task."
            raise MedmdError(msg)
        if match:
            records[match[1]] = path
    if not records:
        msg = f"{source}: expected records such as clinical_data/1003.json below it, found none."
        raise MedmdError(msg)
    return records


def find_features(source: Path, patients: Container[str]) -> tuple[Files, Counter[str]]:
    """Kind -> patient -> feature files: those in a folder `pathology` or `radiology`, at any depth and in any case.

    Returns:
        The files; and why others with the ending .pt are not used -> how many.
    """
    files: Files = {name: {} for name in FEATURES}
    unused: Counter[str] = Counter()
    for path in sorted(source.rglob("*.pt")):
        match = _FEATURE.fullmatch(path.name)
        folders = [folder.lower() for folder in path.relative_to(source).parts[:-1]]
        kind = next((name for name in FEATURES if name in folders), None)
        if match is None:
            unused["not named as 1003_1.pt"] += 1
        elif kind is None:
            unused[f"in no folder {' or '.join(FEATURES)}"] += 1
        elif match[1] not in patients:
            unused["without a record of the patient"] += 1
        else:
            files[kind].setdefault(match[1], []).append(path)
    return files, unused
