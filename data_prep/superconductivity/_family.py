"""Chemical families: relatives of a superconductor must not stand on the other side of a split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

# A dopant of a few per cent does not make another family.
SHARE = 0.1


def families(composition: npt.NDArray[Any], elements: Sequence[str]) -> list[str]:
    """The family of each compound: the elements that are 10 % of its atoms or more, such as `Ba-Cu-O`.

    Y1 Ba2 Cu3 O7 (8, 15, 23, 54 %) and its doped relatives are `Ba-Cu-O`, La1.85 Sr0.15 Cu1 O4 (26, 2, 14, 57 %) is
    `Cu-La-O`. Two compounds whose leading elements differ are told apart though they may be related all the same.

    Args:
        composition: (compounds, elements), amounts of any unit, at least 0.
        elements: symbols of the columns.
    """
    totals = composition.sum(axis=1, keepdims=True)
    shares = composition / np.where(totals > 0, totals, 1.0)
    symbols = np.array(elements)
    # The leading element is always one of them: a compound of many equal parts has a family too.
    leading = shares >= np.minimum(SHARE, shares.max(axis=1, keepdims=True))
    return ["-".join(sorted(symbols[mask])) for mask in leading]
