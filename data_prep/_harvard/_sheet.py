"""Pictures for the contact sheet: the middle scan and the thickness map, as the eye can see them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from data_prep._contact_sheet import Shown, spread
from data_prep._harvard._images import Converted
from data_prep._output import OutputFolder
from data_prep._thickness import as_grey, read_map

_SAMPLES_SHOWN = 12


def draw(usable: Sequence[Converted], output: OutputFolder, folder: Path) -> list[Shown]:
    """Pictures of samples from the worst MD to the best.

    Args:
        usable: what was converted.
        output: where the images are.
        folder: for the pictures, which are of no use afterwards.
    """
    from PIL import Image

    ordered = sorted(usable, key=lambda item: (item.person.md or 0.0, item.selected.case_id))
    shown = []
    for place in spread(len(ordered), most=_SAMPLES_SHOWN):
        item = ordered[place]
        caption = f"{item.selected.case_id}\n{item.person.md:g} dB"
        for name, image in item.images.items():
            file = output.path / image.name
            picture = folder / f"{name}-{item.selected.case_id}.png"
            Image.fromarray(_middle(file) if name == "oct" else as_grey(read_map(file))).save(picture)
            shown.append(Shown(picture, caption))
    return shown


def _middle(path: Path) -> npt.NDArray[np.uint8]:
    """The middle scan (depth, along-scan)."""
    import nibabel

    volume = nibabel.load(path)
    return np.asarray(volume.dataobj[..., volume.shape[2] // 2], dtype=np.uint8).T
