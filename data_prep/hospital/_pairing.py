"""Which OCT volume and which photograph belong to which visual field."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from data_prep.hospital._duplicates import find_duplicates
from data_prep.hospital._facts import Examination
from data_prep.hospital._pairing_limits import RELIABLE, field_reason, reliability
from data_prep.hospital._pairing_ranks import Edge, edges_of, explain, greedy
from data_prep.hospital._quality import judge
from data_prep.hospital._site import SiteConfig
from data_prep.hospital._site_sections import IMAGES


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A visual field and the images that belong to it: one case of the datalist.

    Args:
        vf: the visual field.
        oct: the volume, or None.
        fundus: the photograph, or None.
        days_oct_vf: days from the visual field to the volume, negative when the volume is earlier; None without one.
        days_fundus_vf: the same for the photograph.
        vf_reliability: `reliable`, `fixation-losses-high` or `unknown`.
        why: kind of image -> why this one, in fixed words and numbers.
    """

    vf: Examination
    oct: Examination | None = None
    fundus: Examination | None = None
    days_oct_vf: int | None = None
    days_fundus_vf: int | None = None
    vf_reliability: str = RELIABLE
    why: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Pairing:
    """What became of every examination.

    Args:
        pairs: by patient, eye, day and name of the visual field.
        excluded: name of an examination that is in no pair -> reason, by name.
        merged: name of a copy -> name of the examination that it is a copy of; all stand in `excluded` as well.
    """

    pairs: tuple[Pair, ...]
    excluded: Mapping[str, str]
    merged: Mapping[str, str] = field(default_factory=dict)


def pair(examinations: Sequence[Examination], site: SiteConfig) -> Pairing:
    """Give every visual field the nearest images of the same patient and eye.

    Examinations that the site file does not want, that fail its limits, or whose content stands under several patients
    or both eyes are left out first, copies are merged. In each eye the nearest visual field and image within the window
    are joined first; among equally near ones the site's tie rules decide, and the names in the end. An image serves one
    visual field unless the site file says otherwise. Visual fields that are left without a required image give way one
    at a time, so that their images are free for others. A patient's eyes are paired independently.

    Args:
        examinations: in any order; the result does not depend on it.
        site: the rules.

    Raises:
        ValueError: two examinations have one name.
    """
    names = {each.name for each in examinations}
    if len(names) != len(examinations):
        msg = f"examinations: expected {len(examinations)} different names, got {len(names)}"
        raise ValueError(msg)
    excluded, merged = _left_out(examinations, site)
    eyes: dict[tuple[str, str], list[Examination]] = defaultdict(list)
    for each in sorted(examinations, key=lambda each: (each.day, each.name)):
        if each.name not in excluded:
            eyes[each.patient, each.laterality].append(each)
    pairs: list[Pair] = []
    for _, members in sorted(eyes.items()):
        found = _pair_eye(members, site)
        pairs += found
        excluded |= _reasons(members, found, site)
    return Pairing(pairs=tuple(pairs), excluded=dict(sorted(excluded.items())), merged=dict(sorted(merged.items())))


def _left_out(examinations: Sequence[Examination], site: SiteConfig) -> tuple[dict[str, str], dict[str, str]]:
    """Reasons that concern an examination alone or its content; a fault of its own is told before a copy's."""
    excluded, merged = find_duplicates(examinations)
    for each in examinations:
        if each.kind != "vf" and each.kind not in site.inputs.wanted:
            reason = "input-not-wanted"
        else:
            reason = (field_reason if each.kind == "vf" else judge)(each, site) or ""
        if reason and each.name not in merged:
            excluded[each.name] = reason
    return excluded, merged


def _pair_eye(members: Sequence[Examination], site: SiteConfig) -> list[Pair]:
    fields = [each for each in members if each.kind == "vf"]
    edges = {kind: edges_of(fields, _of(members, kind), kind, site) for kind in site.inputs.wanted}
    fields = [each for each in fields if _feasible(each, edges, site)]
    if fields and site.pairing.per_eye != "all":
        fields = [_one_field(fields, site)]
    chosen = _match(fields, edges, site)
    return [_pair(each, chosen, edges, site) for each in fields if any(each.name in of for of in chosen.values())]


def _of(members: Iterable[Examination], kind: str) -> list[Examination]:
    return [each for each in members if each.kind == kind]


def _feasible(vf: Examination, edges: Mapping[str, Sequence[Edge]], site: SiteConfig) -> bool:
    """Whether the window holds an image for the visual field, and one of every required kind."""
    near = {kind for kind, of in edges.items() if any(edge.vf is vf for edge in of)}
    return bool(near) and near.issuperset(site.inputs.required)


def _one_field(fields: Sequence[Examination], site: SiteConfig) -> Examination:
    """The latest or first; on one day the reliable before the others, then the first by name."""
    sign = -1 if site.pairing.per_eye == "latest" else 1
    return min(fields, key=lambda vf: (sign * vf.day, reliability(vf, site) != RELIABLE, vf.name))


def _match(
    fields: Sequence[Examination], edges: Mapping[str, Sequence[Edge]], site: SiteConfig
) -> dict[str, dict[str, Edge]]:
    """Kind -> name of a visual field -> its image."""
    active = {vf.name for vf in fields}
    while True:
        chosen = {
            kind: greedy([edge for edge in of if edge.vf.name in active], once=site.pairing.one_field_per_scan)
            for kind, of in edges.items()
        }
        lacking = [name for name in active if any(name not in chosen[kind] for kind in site.inputs.required)]
        if not lacking:
            return chosen
        active.remove(max(lacking, key=lambda name: _need(name, chosen, site)))


def _need(name: str, chosen: Mapping[str, Mapping[str, Edge]], site: SiteConfig) -> tuple[int, int, str]:
    """The more required images a visual field lacks, and the farther those are that it has, the sooner it gives way."""
    has = [chosen[kind][name] for kind in site.inputs.required if name in chosen[kind]]
    return -len(has), sum(abs(edge.days) for edge in has), name


def _pair(
    vf: Examination, chosen: Mapping[str, Mapping[str, Edge]], edges: Mapping[str, Sequence[Edge]], site: SiteConfig
) -> Pair:
    mine = {kind: of[vf.name] for kind, of in chosen.items() if vf.name in of}
    oct_edge, fundus_edge = (mine.get(kind) for kind in IMAGES)
    return Pair(
        vf=vf,
        oct=oct_edge.image if oct_edge else None,
        fundus=fundus_edge.image if fundus_edge else None,
        days_oct_vf=oct_edge.days if oct_edge else None,
        days_fundus_vf=fundus_edge.days if fundus_edge else None,
        vf_reliability=reliability(vf, site),
        why={
            kind: explain(edge, [other for other in edges[kind] if other.vf is vf], site) for kind, edge in mine.items()
        },
    )


def _reasons(members: Sequence[Examination], pairs: Sequence[Pair], site: SiteConfig) -> dict[str, str]:
    """Why each of an eye's examinations that could be used is in no pair."""
    used_fields = {found.vf.name for found in pairs}
    used = used_fields | {each.name for found in pairs for each in (found.oct, found.fundus) if each is not None}
    fields, images = _of(members, "vf"), [each for each in members if each.kind != "vf"]
    reasons = {}
    for each in members:
        if each.name not in used:
            others = images if each.kind == "vf" else fields
            near = [other for other in others if abs(other.day - each.day) <= site.pairing.window_days]
            reasons[each.name] = (
                _field_not_used(others, near, used_fields, site)
                if each.kind == "vf"
                else _image_not_used(others, near, used_fields)
            )
    return reasons


def _field_not_used(
    images: Sequence[Examination], near: Sequence[Examination], used_fields: set[str], site: SiteConfig
) -> str:
    if not images:
        return "no-image"
    if not near:
        return "no-image-in-window"
    if not {each.kind for each in near}.issuperset(site.inputs.required):
        return "required-image-missing"
    if site.pairing.per_eye != "all" and used_fields:
        return "another-field-chosen"
    return "required-image-missing" if site.inputs.required else "images-serve-nearer-fields"


def _image_not_used(fields: Sequence[Examination], near: Sequence[Examination], used_fields: set[str]) -> str:
    if not fields:
        return "no-visual-field"
    if not near:
        return "no-field-in-window"
    return "another-image-chosen" if any(each.name in used_fields for each in near) else "field-not-used"
