"""The cohort's folder: images, datalist and contact sheet, in that order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medmd.data.phantom._clinic import MD_RANGE
from medmd.data.phantom._fundus import SIZE
from medmd.data.phantom._latent import MODALITIES, Eye
from medmd.data.phantom._oct import SHAPE, SPACING_MM
from medmd.data.phantom._sheet import sheet_bytes
from medmd.data.phantom._write import DATALIST, Hashes, claim_folder, image_path, write_images
from medmd.utils import read_json, write_atomic

if TYPE_CHECKING:
    from medmd.data._records import Case, Datalist
    from medmd.data.phantom._cohort import PhantomCohort

SHEET = "contact_sheet.png"


def write_cohort(cohort: PhantomCohort, folder: Path, *, workers: int, contact_sheet: bool) -> Path:
    """See `PhantomCohort.write`."""
    from medmd.data._write import datalist_document, write_datalist

    claim_folder(folder, cohort.arguments)
    path = folder / DATALIST
    document = read_json(path) if path.exists() else {}
    known = _known_hashes(document)
    hashes = write_images(folder, cohort.eyes, known, workers)
    datalist = _datalist(cohort, hashes)
    changed = document != datalist_document(datalist, folder)
    if changed:
        write_datalist(path, datalist)
    if contact_sheet and (changed or not (folder / SHEET).exists()):
        write_atomic(folder / SHEET, sheet_bytes(folder, cohort.eyes))
    return path


def _known_hashes(document: Mapping[str, Any]) -> dict[str, Hashes]:
    cases = [case for split in ("training", "validation", "testing") for case in document.get(split, [])]
    return {case["case_id"]: case.get("hashes", {}) for case in cases}


def _datalist(cohort: PhantomCohort, hashes: Sequence[Hashes]) -> Datalist:
    from medmd.data._records import Datalist

    splits: dict[str, list[Case]] = {name: [] for name, share in cohort.fractions.items() if share}
    for eye, split, reference, digest in zip(cohort.eyes, cohort.splits, cohort.references, hashes, strict=True):
        splits[split].append(_case(eye, reference, digest))
    return Datalist(header=_header(cohort), splits=splits)


def _case(eye: Eye, reference: dict[str, float], hashes: Hashes) -> Case:
    from medmd.data._records import Case

    inputs = {name: None if name in eye.missing else image_path(eye, name) for name in MODALITIES}
    details: dict[str, Any] = {"device": eye.device, "vf_pattern": "24-2"}
    details |= {f"days_{name}_vf": eye.days[name] for name in MODALITIES if name not in eye.missing}
    return Case(
        case_id=eye.case_id,
        patient_id=eye.patient_id,
        inputs=inputs,
        target=eye.measured_md,
        laterality=eye.laterality,
        age=eye.age,
        sex=eye.sex,
        hashes=hashes,
        reference=reference,
        details=details,
    )


def _header(cohort: PhantomCohort) -> Any:
    from medmd.data._records import Header, InputSpec, TargetSpec

    volume = {
        "axes": "along-scan (right eye: temporal to nasal), depth (vitreous down), slice (superior to inferior)",
        "shape": list(SHAPE),
        "spacing_mm": list(SPACING_MM),
        "spacing_source": "synthetic",
    }
    image = {"axes": "row (superior to inferior), column (right eye: temporal to nasal)", "shape": [SIZE, SIZE, 3]}
    return Header(
        name="phantom",
        description=(
            "Synthetic eyes whose truth is known. Not patients. `reference` holds the arguments of the generator and "
            "the best accuracy that label noise and the information in the images allow."
        ),
        version=cohort.arguments["generator"].split()[-1],
        inputs={"oct": InputSpec(kind="volume", details=volume), "fundus": InputSpec(kind="image", details=image)},
        target=TargetSpec(name="md", kind="number", unit="dB", range=MD_RANGE, details={"pattern": "24-2"}),
        source="synthetic",
        converter="medmd phantom",
        reference=cohort.reference(),
    )
