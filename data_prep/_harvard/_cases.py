"""Samples as cases of a datalist, and the header that describes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from data_prep._harvard._images import Converted
from data_prep._harvard._person import MD_RANGE
from data_prep._harvard._release import Release
from data_prep._thickness import CODE

if TYPE_CHECKING:
    from medmd.data import Case, Header, InputSpec

_VOLUME = "OCT volume around the optic disc; axes along-scan, depth, slices, as the arrays of the release are taken"
_MAP = "map of the thickness of the retinal nerve fibre layer around the optic disc"


def make_case(converted: Converted, release: Release, *, subgroups: bool) -> Case:
    """A case from a sample of which one image at least is there.

    Args:
        converted: the sample.
        release: names the inputs.
        subgroups: whether race and ethnicity stand beside the case.
    """
    from medmd.data import Case

    person, case_id = converted.person, converted.selected.case_id
    details: dict[str, Any] = {"release_id": f"{converted.selected.sample.number:04d}"}
    if person.glaucoma is not None:
        details["glaucoma"] = person.glaucoma
    if subgroups:
        details |= {"race": person.race, "ethnicity": person.ethnicity}
    images = converted.images
    return Case(
        case_id=case_id,
        patient_id=case_id,
        patient_id_is_surrogate=True,
        inputs={name: images[name].name if name in images else None for name in release.arrays},
        target=round(float(person.md), 4) if person.md is not None else None,
        age=person.age,
        sex=person.sex,
        hashes={name: image.sha256 for name, image in images.items()},
        details=details,
    )


def make_header(release: Release) -> Header:
    """The header of the cohort."""
    from medmd.data import Header, TargetSpec

    return Header(
        name=release.name,
        description=f"{release.title}: one sample a patient, as the release says; it names no patients, so that this "
        "cannot be checked. Which eye a sample is of is not stated either.",
        inputs={name: _spec(name, release) for name in release.arrays},
        target=TargetSpec(range=MD_RANGE, details={"pattern": "24-2 (52 total deviations)"}),
        source=release.source,
        converter=release.converter,
        details={"licence": release.licence},
    )


def _spec(name: str, release: Release) -> InputSpec:
    from medmd.data import InputSpec

    if name == "oct":
        return InputSpec(kind="volume", details={"description": _VOLUME, "spacing_source": release.spacing_source})
    return InputSpec(kind="image", details={"description": _MAP, "code": CODE})
