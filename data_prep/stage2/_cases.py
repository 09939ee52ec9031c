"""Eyes as cases of a datalist, and the headers that describe them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from data_prep.stage2._eyes import DEPTH_MM, SCAN_MM, Converted
from data_prep.stage2._labels import STAGES
from data_prep.stage2._layout import GAMMA, STAGE_2023, STAGE_2024

if TYPE_CHECKING:
    from medmd.data import Case, Header, TargetSpec

CONVERTER = "data_prep.stage2"
MD_RANGE = (-40.0, 6.0)
SOURCES = {
    STAGE_2023: "STAGE challenge 2023 (MICCAI OMIA; AI Studio competition 968): OCT",
    STAGE_2024: "STAGE2 challenge 2024 (MICCAI OMIA; AI Studio competition 1167): OCT and fundus",
    GAMMA: "GAMMA challenge 2021: OCT, fundus and grade of glaucoma",
}
_OCT = "OCT volume; axes along-scan, depth, slices, in the order of the release's file numbers"
_STAGE = "stage of glaucoma as the release gives it, one-hot: derived from the visual field, so close to the answer"
# Which scanner was used, and how large its field is, is not published for STAGE and STAGE2.
_ASSUMED = (
    f"assumed: a scan of {SCAN_MM[0]:g} x {SCAN_MM[1]:g} mm and {1000 * DEPTH_MM:g} micrometres in depth, as GAMMA's "
    "scanner; the release states none"
)


def make_case(converted: Converted, *, stage_input: bool) -> Case:
    """A case from an eye of which one image at least is there.

    Args:
        converted: the eye and its images.
        stage_input: whether the stage is an input too.
    """
    from medmd.data import Case

    eye = converted.eye
    files = {name: image for name in ("oct", "fundus") if (image := getattr(converted, name)) is not None}
    vectors = {"stage": _one_hot(eye.person.stage)} if stage_input else {}
    details: dict[str, Any] = {"release_id": f"{eye.files.number:04d}"}
    if eye.person.stage is not None:
        details["glaucoma_stage"] = eye.person.stage
    return Case(
        case_id=eye.case_id,
        patient_id=eye.case_id,
        patient_id_is_surrogate=True,
        inputs={**{name: image.name for name, image in files.items()}, **vectors},
        target=eye.target,
        laterality=eye.person.laterality,
        age=eye.person.age,
        sex=eye.person.sex,
        # Not of the stage: four possible vectors would make most eyes look like copies of one another.
        hashes={name: image.sha256 for name, image in files.items()},
        details=details,
    )


def make_header(
    layout: str, part: str, *, release_ids: Sequence[str], spacing_mm: Sequence[float] | None, stage_input: bool
) -> Header:
    """The header for the eyes of one part.

    Args:
        layout: of the release.
        part: `training`, `validation` or `testing`.
        release_ids: all eyes that the release has in this part, converted or not: a submission needs each.
        spacing_mm: as given by the caller, or None.
        stage_input: as in `make_case`.
    """
    from medmd.data import Header, InputSpec

    spacing = _ASSUMED if spacing_mm is None else "given to the converter"
    inputs = {"oct": InputSpec(kind="volume", details={"description": _OCT, "spacing_source": spacing})}
    if layout != STAGE_2023:
        inputs["fundus"] = InputSpec(kind="image", details={"description": "colour fundus photograph"})
    if stage_input:
        details = {"description": _STAGE, "components": list(STAGES), "length": len(STAGES)}
        inputs["stage"] = InputSpec(kind="vector", details=details)
    return Header(
        name=f"{layout}-{part}",
        description=f"Eyes of the {part} part of the release. It names no patients: every eye counts as a patient of "
        "its own, and whether two eyes belong to one cannot be known.",
        inputs=inputs,
        target=target_of(layout),
        source=SOURCES[layout],
        converter=CONVERTER,
        details={"release_ids": list(release_ids)},
    )


def target_of(layout: str) -> TargetSpec:
    """MD in dB, or GAMMA's grade."""
    from medmd.data import TargetSpec

    if layout == GAMMA:
        return TargetSpec.of_classes("glaucoma_grade", ("none", "early", "moderate or advanced"))
    return TargetSpec(range=MD_RANGE, details={"pattern": "24-2"})


def _one_hot(stage: str | None) -> list[float] | None:
    return None if stage is None else [float(stage == name) for name in STAGES]
