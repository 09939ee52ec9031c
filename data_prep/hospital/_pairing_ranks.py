"""How well an image suits a visual field, and the words for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from data_prep.hospital._facts import Examination
from data_prep.hospital._site import SiteConfig

# The measure that tells a good image from a poor one of its kind.
_BEST = {"oct": "contrast", "fundus": "sharpness"}
_WORDS = {
    "not-later": "not after the visual field",
    "region": "region preferred by the site file",
    "signal": "best signal",
    "quality": "best measured quality",
}


class Edge(NamedTuple):
    """A visual field and an image that may belong together; the smaller the rank the better."""

    rank: tuple[float | str, ...]
    vf: Examination
    image: Examination

    @property
    def days(self) -> int:
        """From the visual field to the image."""
        return self.image.day - self.vf.day


def edges_of(fields: Sequence[Examination], images: Sequence[Examination], kind: str, site: SiteConfig) -> list[Edge]:
    """All that lie within the window, best first. No two ranks are equal: names stand at the end."""
    regions = site.oct.regions if kind == "oct" else site.fundus.regions
    found = [
        Edge(_rank(vf, image, regions, site), vf, image)
        for vf in fields
        for image in images
        if abs(image.day - vf.day) <= site.pairing.window_days
    ]
    return sorted(found, key=lambda edge: edge.rank)


def greedy(edges: Sequence[Edge], *, once: bool) -> dict[str, Edge]:
    """Name of a visual field -> its image: the best edge whose ends are both free is taken, again and again.

    No visual field and image that are not joined would then both rather have each other.

    Args:
        edges: best first.
        once: whether an image is free for one visual field only.
    """
    chosen: dict[str, Edge] = {}
    taken: set[str] = set()
    for edge in edges:
        if edge.vf.name not in chosen and edge.image.name not in taken:
            chosen[edge.vf.name] = edge
            if once:
                taken.add(edge.image.name)
    return chosen


def explain(chosen: Edge, candidates: Sequence[Edge], site: SiteConfig) -> str:
    """Why an image was taken out of all that were near its visual field.

    Args:
        chosen: the edge that was taken.
        candidates: the visual field's edges, best first.
        site: for the order of its tie rules.
    """
    if len(candidates) == 1:
        return "the only one in the window"
    place = next(number for number, edge in enumerate(candidates) if edge.image is chosen.image)
    if place:
        return f"best of {len(candidates) - place} that serve no nearer visual field"
    second = candidates[1]
    different = [number for number, pair in enumerate(zip(chosen.rank, second.rank, strict=True)) if pair[0] != pair[1]]
    if different[0] == 0:
        return f"nearest of {len(candidates)}"
    near = sum(edge.rank[0] == chosen.rank[0] for edge in candidates)
    ties = site.pairing.ties
    last = "first by name" if different[0] > len(ties) else _WORDS[ties[different[0] - 1]]
    return f"{last}, of {near} equally near"


def _rank(vf: Examination, image: Examination, regions: Sequence[str], site: SiteConfig) -> tuple[float | str, ...]:
    measures: Mapping[str, Callable[[], float]] = {
        "not-later": lambda: float(image.day > vf.day),
        "region": lambda: float(regions.index(image.region or "unknown")),
        "signal": lambda: _falling(image.signal),
        "quality": lambda: _falling(image.quality.get(_BEST[image.kind])),
    }
    ties = [measures[tie]() for tie in site.pairing.ties]
    return (float(abs(image.day - vf.day)), *ties, image.name, vf.name)


def _falling(value: float | None) -> float:
    """Large values first; unknown ones last."""
    return math.inf if value is None or math.isnan(value) else -value
