"""Propositions 1 and 2 on a landscape of two numbers: a sharp basin and a flat one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

# Centres, depths, curvatures: the sharp basin is narrow, the flat one wide and deeper.
SHARP, FLAT = np.array([-2.0, 0.0]), np.array([2.0, 0.0])
_DEPTHS = (1.0, 1.3)
_WIDTHS = (0.35, 1.3)
_BOWL = 0.02


class Path(NamedTuple):
    """One descent.

    Attributes:
        points: (T + 1, 2).
        losses: (T + 1,).
        gammas: (T,).
        sharpness: (T,) L(t + d) - L(t - d).
    """

    points: Vector
    losses: Vector
    gammas: Vector
    sharpness: Vector

    @property
    def crossed(self) -> bool:
        """Whether it ends on the flat basin's side, settled or not."""
        end = self.points[-max(2, len(self.points) // 10) :].mean(axis=0)
        return bool(np.linalg.norm(end - FLAT) < np.linalg.norm(end - SHARP))

    @property
    def basin(self) -> str:
        """Where it ends: `sharp` or `flat` when it has settled within the basin, else `none`."""
        tail = self.points[-max(2, len(self.points) // 10) :]
        for name, centre, width in (("sharp", SHARP, _WIDTHS[0]), ("flat", FLAT, _WIDTHS[1])):
            if (np.linalg.norm(tail - centre, axis=1) < width).all():
                return name
        return "none"


def loss(point: Vector) -> float:
    """The landscape: two inverted Gaussians in a shallow bowl."""
    value = _BOWL * float(point @ point)
    for centre, depth, width in zip((SHARP, FLAT), _DEPTHS, _WIDTHS, strict=True):
        value -= depth * float(np.exp(-np.sum((point - centre) ** 2) / (2 * width**2)))
    return value


def gradient(point: Vector) -> Vector:
    """Its gradient."""
    found = 2 * _BOWL * point
    for centre, depth, width in zip((SHARP, FLAT), _DEPTHS, _WIDTHS, strict=True):
        offset = point - centre
        found = found + depth / width**2 * offset * np.exp(-(offset @ offset) / (2 * width**2))
    return np.asarray(found)


def largest_curvature(point: Vector, *, step: float = 1e-4) -> float:
    """The largest eigenvalue of the Hessian, by central differences of the gradient."""
    columns = [(gradient(point + step * axis) - gradient(point - step * axis)) / (2 * step) for axis in np.eye(2)]
    return float(np.linalg.eigvalsh((np.array(columns) + np.array(columns).T) / 2).max())


def descend(
    start: Sequence[float],
    *,
    rule: str,
    gamma: float,
    rate: float = 0.1,
    steps: int = 400,
    rho: float = 0.05,
    window: int = 50,
    clip: tuple[float, float] = (1 / 3, 3.0),
    noise: float = 0.0,
    seed: int = 0,
) -> Path:
    """Gradient descent with a factor of the gradient.

    Args:
        start: first point.
        rule: `fixed` (gamma), `paper` (gamma times sharpness over its running median, clipped) or `inverse` (the
            reciprocal ratio: smaller steps where the loss is steep).
        gamma: the factor, gamma_base of the dynamic rules.
        rate: learning rate.
        steps: T.
        rho: radius of the probe.
        window: how many values the median is taken of.
        clip: bounds of the ratio.
        noise: SD of Gaussian noise of each gradient component, as of batches.
        seed: of the noise.
    """
    generator = np.random.default_rng(seed)
    points, gammas, measured = [np.asarray(start, dtype=np.float64)], [], []
    for _ in range(steps):
        here = points[-1]
        noisy = gradient(here) + noise * generator.normal(size=2)
        move = rho * noisy / (np.linalg.norm(noisy) + 1e-12)
        measured.append(loss(here + move) - loss(here - move))
        factor = gamma * _ratio(measured[-window:], rule, clip)
        gammas.append(factor)
        points.append(here - rate * factor * noisy)
    path = np.array(points)
    return Path(path, np.array([loss(point) for point in path]), np.array(gammas), np.array(measured))


def _ratio(window: Sequence[float], rule: str, clip: tuple[float, float]) -> float:
    median = float(np.median(window))
    if rule == "fixed" or median <= 1e-12:
        return 1.0
    ratio = float(np.clip(window[-1] / median, *clip))
    return 1.0 / ratio if rule == "inverse" else ratio
