"""Where nerve fibres run on a right eye's retina, so that both modalities are damaged in the same places.

Coordinates in mm about the fovea: x to the nose, y up. The fibres leave the disc, arch around the fovea and end on the
temporal raphe: here they are circular arcs from the disc to a point temporal to the fovea, so that the angle at which a
fibre leaves the disc follows from the angle under which both ends are seen (tangent-chord theorem).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

DISC_X = 4.5
DISC_RADIUS = 0.88
_RAPHE_X = -5.0
# Angles in degrees, from the temporal direction, superior positive, at which the six sectors of the map are centred.
_CENTRES = np.array([-72.0, -42.0, -14.0, 14.0, 42.0, 72.0])


def fibre_angle(x: npt.NDArray, y: npt.NDArray) -> npt.NDArray:
    """Angle in degrees in (-180, 180] at which the fibre through a point leaves the disc; 0 is temporal, + superior."""
    to_disc = np.arctan2(-y, DISC_X - x)
    to_raphe = np.arctan2(-y, _RAPHE_X - x)
    seen = np.abs(np.degrees(to_disc - to_raphe))
    seen = np.where(seen > 180.0, 360.0 - seen, seen)
    return np.where(y < 0, -1.0, 1.0) * (180.0 - seen)


def disc_angle(x: npt.NDArray, y: npt.NDArray) -> npt.NDArray:
    """Angle in degrees at which a point lies as seen from the middle of the disc; 0 is temporal, + superior."""
    return np.degrees(np.arctan2(y, DISC_X - x))


def sector_map(angle: npt.NDArray, sectors: npt.NDArray) -> npt.NDArray:
    """The damage at fibre angles, (…): sectors (6,) interpolated between their centres, the outer ones going round."""
    return np.interp(angle, _CENTRES, sectors)


def lost_share(damage: npt.NDArray) -> npt.NDArray:
    """Share of nerve fibres lost, in (0, 1), at a damage in standard deviations: 4 % at -2, 23 % at 0, 66 % at 2."""
    return 1.0 / (1.0 + np.exp(-0.95 * (damage - 1.3)))


def fibre_thickness(x: npt.NDArray, y: npt.NDArray) -> npt.NDArray:
    """Thickness in µm of a healthy retinal nerve fibre layer: two arcuate humps that thin out away from the disc."""
    angle = np.abs(fibre_angle(x, y))
    humps = 28.0 + 88.0 * np.exp(-0.5 * ((angle - 68.0) / 26.0) ** 2)
    distance = np.hypot(x - DISC_X, y)
    near_fovea = 1.0 - 0.97 * np.exp(-(x**2 + y**2) / 1.1**2)
    return humps * np.minimum(1.35, (2.2 / np.maximum(distance, 0.6)) ** 0.8) * near_fovea


def ganglion_thickness(x: npt.NDArray, y: npt.NDArray) -> npt.NDArray:
    """Thickness in µm of a healthy ganglion cell and inner plexiform layer: a ring about the fovea."""
    distance = np.hypot(x, y)
    ring = 1.0 - np.exp(-((distance / 0.6) ** 2))
    return 88.0 * ring * (0.32 + 0.68 * np.exp(-((distance / 2.6) ** 2)))
