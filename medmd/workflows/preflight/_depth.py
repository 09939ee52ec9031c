"""Whether the crop in depth was made for volumes as deep as these."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from medmd.transforms import CropRetinaBandd
from medmd.workflows.preflight._report import WARNING, Problem

# The overlays of clinical scans keep nearly half of the depth or more; the synthetic eyes' band an eighth at most.
_MOST_TIMES = 4


def depth_problems(transform: Any, depths: Mapping[str, int]) -> Iterator[Problem]:
    """A warning for each modality of which the crop keeps less than a quarter.

    Args:
        transform: deterministic transforms; those of a composition are looked through.
        depths: by modality, the voxels in depth of the deepest training volume.
    """
    for crop in getattr(transform, "transforms", ()):
        if not isinstance(crop, CropRetinaBandd):
            continue
        for name in map(str, crop.keys):
            if depths.get(name, 0) > _MOST_TIMES * crop.height:
                yield Problem(
                    setting="retina_band",
                    what=f"little of the depth of {name} is kept",
                    found=f"{crop.height} of {depths[name]} voxels",
                    expected="a quarter at least",
                    fix="Take the overlay of the data's source in bundles/remd/data, such as hospital.json.",
                    level=WARNING,
                )
