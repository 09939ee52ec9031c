"""What is kept of the numbers of a training: means, few enough for thousands of runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

_CLIPPED = 1e-5


def summarise(history: pd.DataFrame, trainer: Any = None) -> dict[str, float]:
    """Means over the steps of stage 2 of what its method logs, and the share of gammas at a bound.

    Args:
        history: all numbers, long form.
        trainer: of stage 2, whose balancer may have bounds; or None.

    Returns:
        By name; what is finite in no step is left out. `clipped_low` and `clipped_high` are shares of steps whose gamma
        is the smallest or largest that the bounds of SGM's ratio allow.
    """
    steps = history[(history["stage"] == "train") & ~history["name"].str.startswith("val_")]
    finite = steps[np.isfinite(steps["value"])]
    found = {str(name): float(value) for name, value in finite.groupby("name", sort=True)["value"].mean().items()}
    gamma = finite.loc[finite["name"] == "gamma", "value"].to_numpy()
    balancer = getattr(trainer, "balancer", None)
    bounds, base = getattr(balancer, "ratio_clip", None), getattr(balancer, "gamma_base", None)
    power = getattr(balancer, "ratio_power", 1.0)
    if len(gamma) and bounds is not None and base is not None:
        ends = sorted(base * bound**power for bound in bounds)
        # Ratios are float32.
        for name, end in zip(("clipped_low", "clipped_high"), ends, strict=True):
            found[name] = float(np.isclose(gamma, end, rtol=_CLIPPED).mean())
    return found


def epoch_history(history: pd.DataFrame) -> pd.DataFrame:
    """One number an epoch and name: the mean over its steps, or the validation's value."""
    grouped = history.groupby(["stage", "epoch", "name"], sort=False, as_index=False)
    return grouped.agg(iteration=("iteration", "max"), value=("value", "mean"))
