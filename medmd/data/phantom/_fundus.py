"""A colour photograph of disc and macula."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medmd.data.phantom._anatomy import (
    DISC_RADIUS,
    DISC_X,
    disc_angle,
    fibre_angle,
    fibre_thickness,
    lost_share,
    sector_map,
)
from medmd.data.phantom._latent import Eye
from medmd.data.phantom._vessels import draw_lines, grow_tree

Array = npt.NDArray[np.float32]

SIZE = 144
_FIELD_MM = 8.5
_CENTRE_X = 2.3
_RETINA = np.array([0.66, 0.30, 0.13])
_RIM = np.array([0.90, 0.56, 0.34])
_PALE_RIM = np.array([0.93, 0.80, 0.60])
_CUP = np.array([0.98, 0.90, 0.70])
_FIBRES = np.array([0.30, 0.62, 0.50])


@dataclass(frozen=True)
class _View:
    """How the camera looks at the eye: position of every pixel in mm, (144, 144) each, and the way back."""

    x: Array
    y: Array
    to_pixels: Callable[[npt.NDArray], npt.NDArray]


def render_fundus(eye: Eye) -> npt.NDArray[np.uint8]:
    """Render the fundus photograph of an eye.

    Where the map shown to the camera is damaged the rim is thin (a notch) and pale and the bright fibre layer is gone.
    Nuisance: pigment, choroid, disc size and its natural cup, vessels, position, rotation, light, haze, blur, noise.

    Returns:
        uint8 RGB (144, 144, 3), black outside the round field. Rows run from superior to inferior. A right eye has its
        disc on the right (nasal) and its macula on the left, a left eye is mirrored.
    """
    rng = eye.stream("fundus")
    view = _look(rng)
    shown = eye.shown("fundus")
    picture = _retina(view, shown, rng)
    cup = _disc(picture, view, shown, rng)
    _vessels(picture, view, cup, rng)
    photograph = _camera(picture, rng)
    return photograph[:, ::-1].copy() if eye.laterality == "L" else photograph


def _look(rng: np.random.Generator) -> _View:
    # The disc lies a little above the fovea: the eye is seen turned by some 6 degrees.
    turn = np.radians(rng.normal(6.0, 2.5))
    scale = _FIELD_MM / SIZE * np.exp(rng.normal(0.0, 0.03))
    centre = np.array([_CENTRE_X, 0.0]) + rng.normal(0.0, 0.22, 2)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    middle = (SIZE - 1) / 2
    columns, rows = np.meshgrid(np.arange(SIZE) - middle, np.arange(SIZE) - middle)
    right, up = columns * scale, -rows * scale
    x = rotation[0, 0] * right + rotation[0, 1] * up + centre[0]
    y = rotation[1, 0] * right + rotation[1, 1] * up + centre[1]

    def to_pixels(points: npt.NDArray) -> npt.NDArray:
        dx, dy = points[:, 0] - centre[0], points[:, 1] - centre[1]
        away = (rotation[0, 0] * dx + rotation[1, 0] * dy, rotation[0, 1] * dx + rotation[1, 1] * dy)
        return np.stack([away[0] / scale + middle, middle - away[1] / scale], axis=1)

    return _View(x.astype(np.float32), y.astype(np.float32), to_pixels)


def _retina(view: _View, shown: npt.NDArray, rng: np.random.Generator) -> Array:
    """Pigmented ground with choroid, macula and the bright streaks of the nerve fibres; (144, 144, 3)."""
    pigment = np.exp(rng.normal(0.0, 0.07) + rng.normal(0.0, (0.04, 0.06, 0.08)))
    ground = _RETINA * pigment
    texture = 0.04 * _smooth_noise(rng, 26) + 0.03 * _smooth_noise(rng, 9)
    macula = np.exp(-(view.x**2 + view.y**2) / (2 * 0.75**2))
    shade = (1.0 + texture) * (1.0 - rng.uniform(0.25, 0.42) * macula)
    picture = (ground * shade[..., None]).astype(np.float32)
    angle = fibre_angle(view.x, view.y)
    left = 1.0 - lost_share(sector_map(angle, shown))
    streaks = np.interp(angle, np.linspace(-180.0, 180.0, 241), 1.0 + 0.22 * rng.standard_normal(241))
    brightness = 0.36 * fibre_thickness(view.x, view.y) / 110.0 * left * streaks * np.exp(rng.normal(0.0, 0.05))
    picture += (brightness[..., None] * _FIBRES).astype(np.float32)
    return picture


def _disc(picture: Array, view: _View, shown: npt.NDArray, rng: np.random.Generator) -> Array:
    """Paint disc and cup into `picture`; return where the cup is, (144, 144), in [0, 1]."""
    size = np.exp(rng.normal(0.0, 0.07))
    oval = rng.normal(1.07, 0.03)
    angle = disc_angle(view.x, view.y)
    radius = np.hypot((view.x - DISC_X) * oval, view.y / oval) / (DISC_RADIUS * size)
    lost = lost_share(sector_map(angle, shown))
    # A large disc has a large cup without any damage.
    natural = np.clip(0.28 + 0.5 * (size - 1.0) + rng.normal(0.0, 0.03), 0.10, 0.50)
    edge = 1.0 - (1.0 - natural) * (1.0 - 0.92 * lost)
    rim = _RIM + (_PALE_RIM - _RIM) * (0.9 * lost)[..., None]
    inside = _soft(1.0 - radius, 0.07)
    cup = _soft(edge - radius, 0.09) * inside
    halo = 0.10 * np.exp(-0.5 * ((radius - 1.12) / 0.08) ** 2) * rng.uniform(0.0, 1.0)
    picture *= (1.0 + halo)[..., None].astype(np.float32)
    glow = np.exp(rng.normal(0.0, 0.05))
    colour = (rim + (_CUP - rim) * cup[..., None]) * glow
    picture += (inside[..., None] * (colour - picture)).astype(np.float32)
    return cup.astype(np.float32)


def _vessels(picture: Array, view: _View, cup: Array, rng: np.random.Generator) -> None:
    """Darken `picture` along veins and arteries; the cup hides a part of them."""
    for width, strength in ((0.13, (0.36, 0.58, 0.50)), (0.09, (0.20, 0.46, 0.42))):
        cover = draw_lines(grow_tree(rng, width), view.to_pixels, SIZE)
        shade = cover[..., None] * np.array(strength, dtype=np.float32)
        picture *= 1.0 - shade * (1.0 - 0.75 * cup[..., None])


def _camera(picture: Array, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Uneven light, haze, blur, noise and the round field; 8 bits."""
    from scipy.ndimage import gaussian_filter

    across = np.linspace(-1.0, 1.0, SIZE, dtype=np.float32)
    distance = np.hypot(across[:, None], across[None, :])
    slope = rng.normal(0.0, 0.05, 2)
    light = 1.0 - rng.uniform(0.18, 0.36) * distance**2 + slope[0] * across[:, None] + slope[1] * across[None, :]
    light = light * np.exp(rng.normal(0.0, 0.07))
    haze = abs(rng.normal(0.0, 0.025)) * np.clip(distance, 0.0, 1.0) ** 3
    blur = rng.uniform(0.35, 0.8)
    lit = gaussian_filter(picture, (blur, blur, 0.0), mode="nearest") * light[..., None]
    lit = lit + haze[..., None] * np.array([1.0, 0.95, 0.6], dtype=np.float32)
    lit += rng.standard_normal(lit.shape, dtype=np.float32) * np.float32(0.013)
    field = np.clip((0.975 - distance) * SIZE / 2, 0.0, 1.0)
    return np.clip(np.rint(lit * field[..., None] * 255.0), 0, 255).astype(np.uint8)


def _smooth_noise(rng: np.random.Generator, cells: int) -> Array:
    """Noise of unit spread whose blobs are a `cells`-th of the photograph; (144, 144)."""
    from PIL import Image

    coarse = Image.fromarray(rng.standard_normal((cells, cells), dtype=np.float32))
    smooth = np.asarray(coarse.resize((SIZE, SIZE), Image.Resampling.BICUBIC))
    return smooth / smooth.std()


def _soft(distance: npt.NDArray, width: float) -> npt.NDArray:
    return 1.0 / (1.0 + np.exp(-np.clip(distance / width * 4.0, -30.0, 30.0)))
