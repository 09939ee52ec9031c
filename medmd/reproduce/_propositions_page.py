"""Propositions 1 and 2, shown and not proved."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medmd.report.drawing import BLUE, GREEN, ORANGE, legend_below, name_axes, new_figure, png, title_figure
from medmd.reproduce._items import Item
from medmd.reproduce._page import Page
from medmd.reproduce._propositions import FLAT, SHARP, Path, descend_all, largest_curvature, loss

RULES = {"fixed": "fixed gamma", "paper": "gamma rises with sharpness (the paper's)", "inverse": "gamma falls with it"}
GAMMAS = (0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0)
_RATE = 0.1
_NOISE = 0.3
_STARTS = 20
_SHOWN = 3.0


def propositions_page(item: Item, *, seed: int = 0) -> Page:
    """Descents from the sharp basin under each rule and gamma: who leaves it, and who settles in the flat one."""
    page = Page(item.name, item.title)
    page.say(f"The paper's claim, as its text states it: {item.claim} The proofs, that of convergence too, are in an "
             "appendix that is not public: what follows is a picture of the claim and proves nothing.")  # fmt: skip
    curvatures = {name: largest_curvature(centre) for name, centre in (("sharp", SHARP), ("flat", FLAT))}
    limits = {name: 2 / curvature / _RATE for name, curvature in curvatures.items()}
    page.say(
        f"Landscape: two inverted Gaussians in a shallow bowl, the sharp one of curvature {curvatures['sharp']:.1f}, "
        f"the flat and deeper one of {curvatures['flat']:.2f}. Gradient descent at rate {_RATE:g} times gamma is "
        f"stable in a basin when rate x gamma < 2 / curvature: gamma < {limits['sharp']:.1f} in the sharp one and "
        f"< {limits['flat']:.1f} in the flat one. {_STARTS} descents begin in the sharp basin, with Gaussian noise of "
        f"SD {_NOISE:g} on the gradient, as batches give."
    )
    counts = _counts(seed)
    page.numbers += counts
    header = ["gamma", *(f"{title}: crossed, settled" for title in RULES.values())]
    page.show(header, [_row(gamma, counts) for gamma in GAMMAS])
    page.say(
        "Crossed: the last tenth of the steps lies on the flat basin's side. Settled: all of them lie in that basin."
    )
    page.say(_finding(counts))
    page.say(
        "Sharpness as the paper measures it, L(t + d) - L(t - d), is twice the radius times the length of the "
        "gradient; at the bottom of a sharp basin it is small. The dynamic rule therefore takes the largest steps "
        "where the loss is steep, not where it is curved: the stability condition asks for the opposite."
    )
    paths = {rule: _descend(rule, _SHOWN, seed, number=1)[0] for rule in RULES}
    page.draw("", "Paths of the three rules on the landscape, and their losses.", _figure(paths))
    return page


def _descend(rule: str, gamma: float, seed: int, *, number: int = _STARTS) -> list[Path]:
    starts = [SHARP + 0.1 * np.random.default_rng([seed, each]).normal(size=2) for each in range(number)]
    places = [start.tolist() for start in starts]
    return descend_all(places, rule=rule, gamma=gamma, rate=_RATE, noise=_NOISE, seeds=range(number))


def _counts(seed: int) -> list[dict[str, Any]]:
    found = []
    for rule in RULES:
        for gamma in GAMMAS:
            ends = _descend(rule, gamma, seed)
            found.append({"rule": rule, "gamma": gamma, "crossed": sum(end.crossed for end in ends),
                          "in_flat": sum(end.basin == "flat" for end in ends), "descents": _STARTS})  # fmt: skip
    return found


def _row(gamma: float, counts: list[dict[str, Any]]) -> list[str]:
    here = {entry["rule"]: entry for entry in counts if entry["gamma"] == gamma}
    cells = [f"{here[rule]['crossed']}, {here[rule]['in_flat']} of {_STARTS}" for rule in RULES]
    return [f"{gamma:g}", *cells]


def _finding(counts: list[dict[str, Any]]) -> str:
    works = {
        rule: [f"{entry['gamma']:g}" for entry in counts if entry["rule"] == rule and entry["in_flat"] > 0.9 * _STARTS]
        for rule in RULES
    }
    parts = [f"{title}: {', '.join(works[rule]) or 'none'}" for rule, title in RULES.items()]
    text = "Gammas at which more than nine of ten descents leave the sharp basin and settle in the flat one: "
    text += f"{'; '.join(parts)}."
    if works["fixed"]:
        text += " So here a fixed gamma can do both, without a rule."
    return text


def _figure(paths: dict[str, Path]) -> bytes:
    figure, axes = new_figure(1, 2, size=(10.0, 4.2))
    left, right = axes[0]
    x, y = np.meshgrid(np.linspace(-4, 4.5, 120), np.linspace(-3, 3, 90))
    left.contour(x, y, _grid(x, y), levels=18, colors="#BBBBBB", linewidths=0.7)
    for (rule, path), colour, above in zip(paths.items(), (BLUE, ORANGE, GREEN), (4, 3, 2), strict=True):
        # The path that stays in the sharp basin is the shortest, and lies on top.
        left.plot(*path.points.T, color=colour, linewidth=0.8, label=RULES[rule], zorder=above)
        right.plot(path.losses, color=colour, linewidth=0.9, label=RULES[rule], zorder=above)
    left.set_xlim(-4, 4.5)
    left.set_ylim(-3, 3)
    name_axes(left, title="paths from the sharp basin", x="first weight", y="second weight")
    name_axes(right, title="loss", x="step", y="loss")
    legend_below(figure, right.get_lines())
    title_figure(figure, "A sharp and a flat basin", f"gamma {_SHOWN:g}, one descent of each rule")
    return png(figure)


def _grid(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(loss(np.stack([x, y], axis=-1)))
