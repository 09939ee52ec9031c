"""A layered OCT volume of the macula and the nerve fibres that enter it from the disc."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from medmd.data.phantom._anatomy import fibre_angle, fibre_thickness, ganglion_thickness, lost_share, sector_map
from medmd.data.phantom._latent import Eye

Array = npt.NDArray[np.float32]

SHAPE = (64, 96, 32)
SPACING_MM = (6.0 / 64, 0.015, 6.0 / 32)
# The scan is centred 1 mm nasal of the fovea: it holds the macula and reaches to the temporal edge of the disc.
_CENTRE_X = 1.0
_DEPTH_UM = 1000.0 * SPACING_MM[1]
# Brightness from the vitreous down: vitreous, RNFL, GCIPL, INL, OPL, ONL, photoreceptors, gap, RPE; then the choroid.
_BRIGHTNESS = np.array([0.03, 0.78, 0.47, 0.27, 0.44, 0.17, 0.70, 0.38, 0.92, 0.50], dtype=np.float32)


def render_oct(eye: Eye) -> npt.NDArray[np.uint8]:
    """Render the OCT volume of an eye.

    Nerve fibre and ganglion cell layers thin where the map shown to the OCT is damaged. Nuisance: thickness of the
    whole retina, tilt, curvature, position, jumps between slices, shadows of vessels, gain, contrast, attenuation and
    speckle.

    Returns:
        uint8 (64, 96, 32): x along the scan, y depth from the vitreous down, z slices from superior to inferior. In a
        right eye x runs from temporal to nasal, in a left eye from nasal to temporal.
    """
    rng = eye.stream("oct")
    x, y = _positions(rng)
    layers = _layer_depths(x, y, eye.shown("oct"), rng)
    volume = _paint(layers, rng)
    volume *= _shadows(x, y, layers, rng)
    taken = _instrument(volume, eye.device, rng)
    return taken[::-1].copy() if eye.laterality == "L" else taken


def _positions(rng: np.random.Generator) -> tuple[Array, Array]:
    """Retinal position in mm of every A-scan, (64, 32) each; fixation and head rotation vary."""
    along = (np.arange(SHAPE[0]) - (SHAPE[0] - 1) / 2) * SPACING_MM[0] + _CENTRE_X + rng.normal(0.0, 0.12)
    across = ((SHAPE[2] - 1) / 2 - np.arange(SHAPE[2])) * SPACING_MM[2] + rng.normal(0.0, 0.12)
    turn = np.radians(rng.normal(0.0, 2.5))
    x, y = np.meshgrid(along, across, indexing="ij")
    return (
        (np.cos(turn) * x - np.sin(turn) * y).astype(np.float32),
        (np.sin(turn) * x + np.cos(turn) * y).astype(np.float32),
    )


def _layer_depths(x: Array, y: Array, shown: npt.NDArray, rng: np.random.Generator) -> list[Array]:
    """Depth in µm of the upper edge of each layer from RNFL to choroid, (64, 32) each."""
    lost = lost_share(sector_map(fibre_angle(x, y), shown))
    build = 1.0 + 0.03 * rng.standard_normal(3)
    fovea = np.exp(-(x**2 + y**2) / 0.45**2)
    thickness = [
        fibre_thickness(x, y) * (1.0 - 0.80 * lost) * build[0],
        ganglion_thickness(x, y) * (1.0 - 0.68 * lost) * build[1],
        38.0 * (1.0 - 0.9 * fovea) * build[2],
        30.0 * (1.0 - 0.6 * fovea) * build[2],
        75.0 + 30.0 * fovea + 0.0 * x,
        26.0 + 0.0 * x,
        14.0 + 0.0 * x,
        24.0 + 0.0 * x,
    ]
    depth = _pigment_epithelium(x, y, rng)
    edges = [depth]
    for layer in reversed(thickness):
        depth = depth - layer
        edges.append(depth)
    return [edge.astype(np.float32) for edge in reversed(edges)]


def _pigment_epithelium(x: Array, y: Array, rng: np.random.Generator) -> Array:
    """Depth in µm of the lower edge of the RPE: a tilted, curved sheet which jumps a little between slices."""
    middle = 0.62 * SHAPE[1] * _DEPTH_UM + rng.normal(0.0, 45.0)
    tilt = rng.normal(0.0, (28.0, 14.0))
    curvature = rng.uniform(4.0, 13.0)
    jumps = rng.normal(0.0, 5.0, SHAPE[2])
    return middle + tilt[0] * (x - _CENTRE_X) + tilt[1] * y - curvature * ((x - _CENTRE_X) ** 2 + y**2) + jumps


def _paint(layers: list[Array], rng: np.random.Generator) -> Array:
    """Brightness (64, 96, 32): a step at every edge, each voxel averaging over its depth."""
    depth = (np.arange(SHAPE[1], dtype=np.float32) + 0.5)[None, :, None]
    brightness = _BRIGHTNESS * (1.0 + 0.05 * rng.standard_normal(len(_BRIGHTNESS))).astype(np.float32)
    volume = np.full(SHAPE, brightness[0], dtype=np.float32)
    for edge, step in zip(layers, np.diff(brightness), strict=True):
        volume += step * _below(depth, edge / _DEPTH_UM)
    # Behind the RPE light fades within some 200 µm; the start keeps the choroid's vessels.
    behind = np.maximum(depth - layers[-1][:, None, :] / _DEPTH_UM, 0.0)
    fading = np.exp(-behind / np.float32(rng.uniform(11.0, 17.0)))
    return volume * fading * (1.0 + _choroid(rng) * (behind > 1.0))


def _below(depth: Array, edge: Array) -> Array:
    return np.clip(depth - edge[:, None, :] + 0.5, 0.0, 1.0, dtype=np.float32)


def _choroid(rng: np.random.Generator) -> Array:
    from scipy.ndimage import gaussian_filter

    # Half the depth, twice: only what lies behind the RPE is seen.
    shape = (SHAPE[0], SHAPE[1] // 2, SHAPE[2])
    texture = gaussian_filter(rng.standard_normal(shape, dtype=np.float32), (1.5, 1.5, 0.8), mode="wrap", truncate=2.5)
    pattern = np.clip(0.9 * texture / texture.std(), -2.0, 2.0) * np.float32(0.25)
    return np.concatenate([pattern, pattern], axis=1)


def _shadows(x: Array, y: Array, layers: list[Array], rng: np.random.Generator) -> Array:
    """Vessels run along the fibres and darken what lies under them."""
    angle = fibre_angle(x, y)
    shade = np.zeros_like(x)
    for side in (-1.0, 1.0):
        for _ in range(2):
            course = side * rng.uniform(45.0, 85.0) + rng.normal(0.0, 5.0) * np.sin(x + rng.uniform(0.0, 6.0))
            shade = np.maximum(shade, rng.uniform(0.25, 0.55) * np.exp(-0.5 * ((angle - course) / 1.8) ** 2))
    depth = (np.arange(SHAPE[1], dtype=np.float32) + 0.5)[None, :, None]
    return 1.0 - shade[:, None, :].astype(np.float32) * _below(depth, layers[0] / _DEPTH_UM + 4.0)


def _instrument(volume: Array, device: str, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Speckle of some averaged looks, gain, contrast of the device, detector noise; 8 bits."""
    looks = 7.0 if device == "phantom-a" else 4.5
    speckle = _speckle(looks, rng)
    gain = np.exp(rng.normal(0.0, 0.10)) * (1.0 if device == "phantom-a" else 0.88)
    exponent = 0.80 if device == "phantom-a" else 0.68
    shown = (np.maximum(volume, 0.0) * speckle * np.float32(gain)) ** np.float32(exponent)
    shown += rng.standard_normal(SHAPE, dtype=np.float32) * np.float32(0.015) + np.float32(0.03)
    return np.clip(np.rint(shown * 215.0), 0, 255).astype(np.uint8)


def _speckle(looks: float, rng: np.random.Generator) -> Array:
    """Intensity averaged over some looks: gamma distributed, mean 1, neighbouring A-scans a little alike."""
    noise = rng.standard_normal((SHAPE[0] + 1, *SHAPE[1:]), dtype=np.float32)
    alike = np.float32(0.92) * noise[1:] + np.float32(0.39) * noise[:-1]
    # Wilson and Hilferty: the cube root of a gamma variable is nearly normal. Much faster than drawing it.
    spread = np.float32(1.0 / (3.0 * np.sqrt(looks)))
    root = np.float32(1.0 - 1.0 / (9.0 * looks)) + spread * alike
    return np.maximum(root, 0.0) ** 3
