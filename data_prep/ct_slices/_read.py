"""Relative location of CT slices: a table of 384 histogram values a slice."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_prep._release import Content, row
from medmd.utils import MedmdError, sha256_file

if TYPE_CHECKING:
    from medmd.data import Header

BONE, VALUES = 240, 384
RANGE = (0.0, 180.0)
# Above it a number of the table can stand for several whole numbers.
_MOST_PATIENT = 2.0**53
_PATIENT, _TARGET = "patientId", "reference"


def read(source: Path, settings: Mapping[str, Any]) -> Content:
    """Read the table; `settings` are empty.

    Raises:
        MedmdError: there is no such table, or its columns are not those of the release.
    """
    import numpy as np

    from data_prep._numbers import read_columns, whole_rows
    from medmd.data import Case

    path = _find(source)
    table = read_columns(path, [_PATIENT, *(f"value{place}" for place in range(VALUES)), _TARGET])
    values = table[:, 1:-1].astype(np.float32)
    matrices = {"bone": values[:, :BONE], "air": values[:, BONE:]}
    content = Content(header=_header(), cases=[], matrices=matrices)
    whole = whole_rows(matrices)
    for place, (patient, target) in enumerate(zip(table[:, 0], table[:, -1], strict=True)):
        case_id = f"ct-{place:05d}"
        if not (0 <= patient < _MOST_PATIENT and float(patient).is_integer()):
            # Whose slice it is decides the split: it is not guessed by rounding.
            content.excluded[case_id] = "patient_unreadable"
            continue
        inputs = {name: row(name, place) if whole[name][place] else None for name in matrices}
        case = Case(case_id=case_id, patient_id=f"ct-{int(patient):03d}", inputs=inputs, target=round(float(target), 5))
        content.cases.append(case)
        if not RANGE[0] <= target <= RANGE[1]:
            content.excluded[case_id] = "label_out_of_range"
        elif not any(inputs.values()):
            content.excluded[case_id] = "not_finite"
    patients = len({case.patient_id for case in content.cases})
    content.source = {"file": path.name, "sha256": sha256_file(path)}
    content.facts = {"patients": patients}
    content.summary = [f"patients: {patients}, split by patient"]
    return content


def _find(source: Path) -> Path:
    found = [source] if source.is_file() else sorted(source.glob("*.csv"))
    if len(found) != 1:
        msg = f"{source}: expected one table such as slice_localization_data.csv, found {len(found) or 'none'}."
        raise MedmdError(msg)
    return found[0]


def _header() -> Header:
    from medmd.data import Header, InputSpec, TargetSpec

    said = {
        "bone": ("histogram of bone in polar space; -0.25 where a bin lies outside of the image", BONE),
        "air": ("histogram of air within the body in polar space; -0.25 as for bone", VALUES - BONE),
    }
    return Header(
        name="ct_slices",
        description="Axial CT slices of the UCI release: where in the body a slice lies, from two histograms.",
        inputs={
            name: InputSpec(kind="vector", details={"description": text, "length": length})
            for name, (text, length) in said.items()
        },
        target=TargetSpec(
            name="relative_location", unit="", range=RANGE, details={"pattern": "0: top of the head, 180: soles"}
        ),
        source='Graf et al., "2D Image Registration in CT Images Using Radial Image Descriptors", MICCAI 2011',
        converter="data_prep.ct_slices",
    )
