"""The shortest vector between two gradients, in closed form and without waiting for the device."""

from __future__ import annotations

import torch
from torch import Tensor


def min_norm_weight(mm: Tensor, uni: Tensor) -> Tensor:
    """Weight a of the first vector that makes a * mm + (1 - a) * uni shortest.

    a = clip(<uni, uni - mm> / |uni - mm|², 0, 1), the two-task case of MGDA (Désidéri 2012; Sener and Koltun, NeurIPS
    2018).

    Args:
        mm: (n,), gradient of the fused loss.
        uni: (n,), gradient of the unimodal losses.

    Returns:
        0-d tensor in [0, 1]; 1/2 for equal vectors.

    Raises:
        ValueError: the vectors are not flat and equally long.
    """
    if mm.ndim != 1 or mm.shape != uni.shape:
        msg = f"expected two flat vectors of one length; got shapes {tuple(mm.shape)} and {tuple(uni.shape)}."
        raise ValueError(msg)
    difference = uni - mm
    return clipped_ratio(torch.dot(uni, difference), torch.dot(difference, difference))


def min_norm_weight_of_products(mm: Tensor, uni: Tensor, dot: Tensor) -> Tensor:
    """The same from |mm|², |uni|² and <mm, uni>, of any one shape."""
    return clipped_ratio(uni - dot, mm + uni - 2 * dot)


def clipped_ratio(part: Tensor, whole: Tensor) -> Tensor:
    """Part / whole in [0, 1]; 1/2 when the whole is 0."""
    flat = whole <= 0
    return torch.where(flat, 0.5, (part / torch.where(flat, 1.0, whole)).clamp(0.0, 1.0))
