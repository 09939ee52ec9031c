"""Eyes as cases of a datalist, and the header that describes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from data_prep.papila._images import Picture
from data_prep.papila._sheet import MD_RANGE, Record

if TYPE_CHECKING:
    from medmd.data import Case, Header

CONVERTER = "data_prep.papila"
CITATION = (
    'Kovalyk et al., "PAPILA: Dataset with fundus images and clinical data of both eyes of the same patient for '
    'glaucoma assessment", Scientific Data 9:291, 2022'
)
LICENCE = "CC BY 4.0 according to the paper, GPL 3.0 or later according to the repository's entry: they disagree"
_CLINICAL = (
    "age (years, at most 90), intraocular pressure by pneumatic tonometer (mmHg), central corneal thickness "
    "(micrometres) and axial length (mm)"
)
_COMPONENTS = ("age", "iop", "pachymetry", "axial_length")


def make_case(picture: Picture, *, clinical: bool) -> Case:
    """A case from an eye whose photograph is written.

    Args:
        picture: the eye and its PNG.
        clinical: whether to add the vector of age, pressure, corneal thickness and axial length.
    """
    from medmd.data import Case

    eye, record = picture.item, picture.item.record
    inputs: dict[str, Any] = {"fundus": picture.name}
    if clinical:
        inputs["clinical"] = _vector(record)
    return Case(
        case_id=eye.case_id,
        patient_id=eye.patient_id,
        inputs=inputs,
        target=record.md,
        laterality=record.laterality,
        age=record.age,
        sex=record.sex,
        # Not of the vector: two patients with the same four numbers are not the same patient.
        hashes={"fundus": picture.sha256},
        details={"diagnosis": record.diagnosis} if record.diagnosis else {},
    )


def make_header(*, clinical: bool) -> Header:
    """The header for cases made with this option."""
    from medmd.data import Header, InputSpec, TargetSpec

    inputs = {"fundus": InputSpec(kind="image", details={"description": "colour photograph centred on the optic disc"})}
    if clinical:
        details = {"description": _CLINICAL, "components": list(_COMPONENTS), "length": len(_COMPONENTS)}
        inputs["clinical"] = InputSpec(kind="vector", details=details)
    return Header(
        name="papila",
        description="Eyes of the PAPILA release that had a visual field: glaucoma patients and suspects, few healthy.",
        inputs=inputs,
        target=TargetSpec(range=MD_RANGE, details={"pattern": "not stated in the sheets"}),
        source=CITATION,
        converter=CONVERTER,
        details={"licence": LICENCE},
    )


def _vector(record: Record) -> list[float] | None:
    values = [record.age, record.iop, record.pachymetry, record.axial_length]
    known = [value for value in values if value is not None]
    return known if len(known) == len(values) else None
