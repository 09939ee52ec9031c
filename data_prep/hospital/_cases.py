"""Pairs as cases of a datalist, and the header that describes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from data_prep.hospital._facts import Examination
from data_prep.hospital._write import UNKNOWN_MM

if TYPE_CHECKING:
    from data_prep.hospital._pairing import Pair
    from data_prep.hospital._site import SiteConfig
    from medmd.data import Case, Header, TargetSpec

CONVERTER = "data_prep.hospital"
_KINDS = {"oct": "volume", "fundus": "image"}
_DESCRIPTIONS = {
    "oct": "OCT volume; axes along-scan, depth, slices, in the order of the scan",
    "fundus": "colour fundus photograph, black outside the camera's round field",
}
_SPACING = (
    f"as the export states it; {UNKNOWN_MM:g} mm stands in a file where it states none, see oct_spacing_mm of each case"
)


def make_case(pair: Pair, case_id: str, entry: Callable[[Examination], tuple[str, str]], wanted: Sequence[str]) -> Case:
    """A case from a pair whose images are written.

    Args:
        pair: the visual field and its images.
        case_id: pseudonym.
        entry: gives an image's file and its SHA-256.
        wanted: the inputs of the datalist.
    """
    from medmd.data import Case

    chosen: dict[str, Examination | None] = {name: getattr(pair, name) for name in wanted}
    there = {name: entry(found) for name, found in chosen.items() if found is not None}
    field = pair.vf
    return Case(
        case_id=case_id,
        patient_id=field.patient,
        inputs={name: there[name][0] if name in there else None for name in wanted},
        target=None if field.md is None else round(field.md, 4),
        laterality=field.laterality,
        age=_first(field.age, *(found.age for found in chosen.values() if found)),
        sex=_first(field.sex, *(found.sex for found in chosen.values() if found)),
        hashes={name: digest for name, (_, digest) in there.items()},
        details=_details(pair, chosen),
    )


def make_header(site: SiteConfig) -> Header:
    """The header for cases made with these settings."""
    from medmd.data import Header, InputSpec

    details = {name: {"description": _DESCRIPTIONS[name]} for name in site.inputs.wanted}
    if "oct" in details:
        details["oct"]["spacing_source"] = _SPACING
    return Header(
        name=site.name,
        description="Eyes of a hospital's export: each visual field with the nearest images of the same eye, at most "
        f"{site.pairing.window_days} days apart.",
        inputs={name: InputSpec(kind=_KINDS[name], details=facts) for name, facts in details.items()},
        target=target_of(site),
        source="hospital export",
        converter=CONVERTER,
        details={"site_digest": site.digest},
    )


def target_of(site: SiteConfig) -> TargetSpec:
    """MD in dB, within the range that the site file accepts."""
    from medmd.data import TargetSpec

    return TargetSpec(range=site.visual_field.md_range, details={"pattern": ", ".join(site.visual_field.patterns)})


def _details(pair: Pair, chosen: Mapping[str, Examination | None]) -> dict[str, Any]:
    field, oct_volume = pair.vf, chosen.get("oct")
    facts: dict[str, Any] = {
        "days_oct_vf": pair.days_oct_vf,
        "days_fundus_vf": pair.days_fundus_vf,
        "vf_pattern": field.pattern,
        "vf_strategy": field.strategy,
        "vf_reliability": pair.vf_reliability,
    }
    for name, found in chosen.items():
        if found is not None:
            facts |= {f"{name}_device": found.device, f"{name}_region": found.region}
    if oct_volume is not None:
        along_first = oct_volume.spacing[::-1]
        facts["oct_spacing_mm"] = list(along_first)
        facts["oct_signal"] = oct_volume.signal
    return {name: value for name, value in facts.items() if value is not None}


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)
