"""Propositions 1 and 2 on a landscape of two numbers: a sharp basin and a flat one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

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


def loss(point: Vector) -> Any:
    """The landscape, two inverted Gaussians in a shallow bowl: (..., 2) -> (...)."""
    value = _BOWL * (point**2).sum(axis=-1)
    for centre, depth, width in zip((SHARP, FLAT), _DEPTHS, _WIDTHS, strict=True):
        value = value - depth * np.exp(-((point - centre) ** 2).sum(axis=-1) / (2 * width**2))
    return value


def gradient(point: Vector) -> Vector:
    """Its gradient: (..., 2) -> (..., 2)."""
    found = 2 * _BOWL * point
    for centre, depth, width in zip((SHARP, FLAT), _DEPTHS, _WIDTHS, strict=True):
        offset = point - centre
        height = np.exp(-(offset**2).sum(axis=-1, keepdims=True) / (2 * width**2))
        found = found + depth / width**2 * offset * height
    return np.asarray(found)


def largest_curvature(point: Vector, *, step: float = 1e-4) -> float:
    """The largest eigenvalue of the Hessian, by central differences of the gradient."""
    columns = [(gradient(point + step * axis) - gradient(point - step * axis)) / (2 * step) for axis in np.eye(2)]
    return float(np.linalg.eigvalsh((np.array(columns) + np.array(columns).T) / 2).max())


def descend(start: Sequence[float], *, rule: str, gamma: float, seed: int = 0, **options: Any) -> Path:
    """One gradient descent with a factor of the gradient; see `descend_all`."""
    return descend_all([start], rule=rule, gamma=gamma, seeds=[seed], **options)[0]


def descend_all(
    starts: Sequence[Sequence[float]],
    *,
    rule: str,
    gamma: float,
    seeds: Sequence[int],
    rate: float = 0.1,
    steps: int = 400,
    rho: float = 0.05,
    window: int = 50,
    clip: tuple[float, float] = (1 / 3, 3.0),
    noise: float = 0.0,
) -> list[Path]:
    """Gradient descents with a factor of the gradient, none of which depends on the others.

    Args:
        starts: first point of each.
        rule: `fixed` (gamma), `paper` (gamma times sharpness over its running median, clipped) or `inverse` (the
            reciprocal ratio: smaller steps where the loss is steep).
        gamma: the factor, gamma_base of the dynamic rules.
        seeds: of the noise of each.
        rate: learning rate.
        steps: T.
        rho: radius of the probe.
        window: how many values the median is taken of.
        clip: bounds of the ratio.
        noise: SD of Gaussian noise of each gradient component, as of batches.
    """
    drawn = np.stack([np.random.default_rng(seed).normal(size=(steps, 2)) for seed in seeds], axis=1)
    points, gammas, measured = [np.asarray(starts, dtype=np.float64)], [], []
    for step in range(steps):
        here = points[-1]
        noisy = gradient(here) + noise * drawn[step]
        move = rho * noisy / (np.linalg.norm(noisy, axis=-1, keepdims=True) + 1e-12)
        measured.append(loss(here + move) - loss(here - move))
        gammas.append(gamma * _ratio(np.array(measured[-window:]), rule, clip))
        points.append(here - rate * gammas[-1][:, None] * noisy)
    paths = np.stack(points, axis=1)
    kept = (np.array(values).T for values in (gammas, measured))
    return [Path(path, loss(path), *each) for path, *each in zip(paths, *kept, strict=True)]


def _ratio(window: Vector, rule: str, clip: tuple[float, float]) -> Vector:
    """(values, descents) -> (descents,)."""
    median = np.median(window, axis=0)
    usable = median > 1e-12
    ratio = np.clip(np.divide(window[-1], median, out=np.ones_like(median), where=usable), *clip)
    if rule == "fixed":
        return np.ones_like(median)
    return np.where(usable, 1.0 / ratio if rule == "inverse" else ratio, 1.0)
