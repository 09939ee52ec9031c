"""Visits as cases of a datalist, and the header that describes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_prep.grape._field import mean_sensitivity
from data_prep.grape._images import Picture
from data_prep.grape._visits import Visit

if TYPE_CHECKING:
    from medmd.data import Case, Header, InputSpec

CONVERTER = "data_prep.grape"
CITATION = (
    'Huang et al., "GRAPE: A multi-modal dataset of longitudinal follow-up visual field and fundus images for glaucoma '
    'management", Scientific Data 2023'
)
LICENCE = "CC0 1.0 according to a catalogue; not verified at the source"
RANGE = (0.0, 35.0)
_PHOTOGRAPHS = {"crop": "colour photograph cropped around the optic disc", "full": "full colour fundus photograph"}


def make_case(picture: Picture, *, clinical: bool) -> Case:
    """A case from a visit whose photograph is written.

    Args:
        picture: the visit and its PNG.
        clinical: whether to add the vector of age, pressure and corneal thickness.
    """
    from medmd.data import Case, hash_inputs

    visit = picture.item.visit
    field = [value for value in visit.field if value is not None]
    vectors = {"rnfl": None if visit.rnfl is None else list(visit.rnfl)}
    if clinical:
        vectors["clinical"] = _clinical(visit)
    return Case(
        case_id=visit.case_id,
        patient_id=visit.patient_id,
        inputs={"fundus": picture.name, **vectors},
        target=round(mean_sensitivity(field), 4),
        laterality=visit.laterality,
        age=visit.age,
        sex=visit.sex,
        hashes={"fundus": picture.sha256, **hash_inputs("", vectors)},
        details=_details(visit),
    )


def make_header(*, photograph: str, visits: str, clinical: bool) -> Header:
    """The header for cases made with these options."""
    from medmd.data import Header, InputSpec, TargetSpec

    inputs = {
        "fundus": InputSpec(kind="image", details={"description": _PHOTOGRAPHS[photograph]}),
        "rnfl": _vector(
            "retinal nerve fibre layer thickness by OCT at the first visit, micrometres",
            ["mean", "superior", "nasal", "inferior", "temporal"],
        ),
    }
    if clinical:
        inputs["clinical"] = _vector(
            "age at the visit in years, intraocular pressure at the visit in mmHg, central corneal thickness at the "
            "first visit in micrometres",
            ["age", "iop", "cct"],
        )
    which = "first visits" if visits == "first" else "all visits with a photograph"
    return Header(
        name="grape",
        description=f"Glaucoma eyes of the GRAPE release, {which}: {_PHOTOGRAPHS[photograph]}, RNFL thickness, and "
        "the mean sensitivity of the visual field of the same visit.",
        inputs=inputs,
        target=TargetSpec(
            name="mean_sensitivity",
            unit="dB",
            range=RANGE,
            details={"pattern": "Octopus G1, 59 tested points; a point not seen counts as 0 dB"},
        ),
        source=CITATION,
        converter=CONVERTER,
        details={"licence": LICENCE},
    )


def _vector(description: str, components: list[str]) -> InputSpec:
    from medmd.data import InputSpec

    details = {"description": description, "components": components, "length": len(components)}
    return InputSpec(kind="vector", details=details)


def _clinical(visit: Visit) -> list[float] | None:
    values = [value for value in (visit.age, visit.iop, visit.cct) if value is not None]
    return values if len(values) == 3 else None


def _details(visit: Visit) -> dict[str, str | int | float]:
    details = {"device": visit.device, "visit": visit.number, "years_since_first_visit": visit.years_since_first}
    return {key: value for key, value in details.items() if value is not None}
