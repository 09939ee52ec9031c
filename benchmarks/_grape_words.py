"""What the numbers of the GRAPE study say, in sentences that are computed from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks._grape_table import BASELINE, REFERENCES, ROWS, STATISTICS, TITLES

_UNIMODAL = ("fundus", "rnfl")
# A best epoch later than this share of the epochs: validation was still improving.
_LATE = 0.9
_BETTER_IS_HIGHER = {"r2": True, "rmse": False, "mae": False}


def findings(rows: Mapping[str, Any]) -> list[str]:
    """One sentence or two a finding, the disappointing ones too."""
    found = [
        _spread(rows),
        _decided(rows),
        _against_ridge(rows),
        _fusion(rows),
        *_stage_one(rows),
        *_modulation(rows),
        *_selection(rows),
    ]
    return [line for line in found if line] + [_LIMITS.format(count=len(rows) - 1, metrics=len(STATISTICS))]


_LIMITS = (
    "Limits: one small release and one partition of it; the RNFL is five numbers, not a volume, so that this says "
    "nothing of volumes; the RNFL is scaled by mean and SD of all eyes of the release, the tested ones included (no "
    "target is used, and all networks share it); the epoch is chosen on the few eyes of one fold; {count} rows are "
    "compared with one baseline on {metrics} metrics without a correction, so that "
    "a single interval that leaves out 0 is weak evidence."
)


def _r2(row: Mapping[str, Any]) -> float:
    return float(row["metrics"]["r2"]["estimate"])


def _trained(rows: Mapping[str, Any]) -> dict[str, Any]:
    """The rows that train both modalities together."""
    return {name: rows[name] for name in ROWS if name in rows and name not in (*_UNIMODAL, "late_average")}


def _spread(rows: Mapping[str, Any]) -> str:
    ordered = sorted(_trained(rows).values(), key=_r2)
    spreads = [row["seed_sd"]["r2"] for row in ordered if row["seed_sd"]["r2"] is not None]
    text = (
        f"The fused rows lie between R2 {_r2(ordered[0]):.3f} ({ordered[0]['title']}) and {_r2(ordered[-1]):.3f} "
        f"({ordered[-1]['title']})"
    )
    if not spreads:
        return f"{text}."
    apart = _r2(ordered[-1]) - _r2(ordered[0])
    return f"{text}, {apart:.3f} apart; one row's SD over seeds is {max(spreads):.3f} at most."


def _decided(rows: Mapping[str, Any]) -> str:
    better: list[str] = []
    worse: list[str] = []
    for name, row in rows.items():
        if name in REFERENCES or not row["difference"]:
            continue
        sides = {key: _side(row["difference"][key], key) for key in STATISTICS}
        for side, found in ((1, better), (-1, worse)):
            metrics = [key.upper() for key in STATISTICS if sides[key] == side]
            if metrics:
                found.append(f"{row['title']} ({', '.join(metrics)})")
    return (
        f"Intervals of the difference to {TITLES[BASELINE]} that leave out 0: better: {'; '.join(better) or 'none'}. "
        f"Worse: {'; '.join(worse) or 'none'}."
    )


def _side(ends: Mapping[str, float], key: str) -> int:
    """1 when the interval says better, -1 when it says worse, 0 when it holds 0."""
    if not (ends["low"] > 0 or ends["high"] < 0):
        return 0
    return 1 if (ends["low"] > 0) == _BETTER_IS_HIGHER[key] else -1


def _against_ridge(rows: Mapping[str, Any]) -> str:
    ridge, trained = rows["ridge"], _trained(rows)
    above = [row["title"] for row in trained.values() if _r2(row) > _r2(ridge)]
    text = f"Ridge regression on the five RNFL numbers reaches R2 {_r2(ridge):.3f}"
    if "rnfl" in rows:
        text += f", the network on the same numbers {_r2(rows['rnfl']):.3f}"
        cost = rows["rnfl"]["cost"]
        if _r2(rows["rnfl"]) < _r2(ridge) and cost["best_epoch"]["rnfl"] > _LATE * cost["epochs"]:
            text += (
                f" after {cost['steps']:.0f} steps, its best epoch among the last: the networks of this study are not "
                "trained to their end, and the order of the rows may be that of how fast they learn"
            )
    return f"{text}; {len(above)} of {len(trained)} fused rows are above the ridge."


def _fusion(rows: Mapping[str, Any]) -> str:
    if "late_average" not in rows:
        return ""
    late = rows["late_average"]
    best = max((rows[name] for name in _UNIMODAL), key=_r2)
    below = [row["title"] for row in _trained(rows).values() if _r2(row) <= _r2(late)]
    return (
        f"The better single modality is {best['title']} (R2 {_r2(best):.3f}); the mean of the two separate networks "
        f"has {_r2(late):.3f}. Trained together, not above that mean: {', '.join(below) or 'none'}."
    )


def _stage_one(rows: Mapping[str, Any]) -> list[str]:
    names = ("stage1_uniform_sum", "stage1_weight_0_uniform_sum")
    if not all(name in rows for name in names):
        return []
    full, without = (_r2(rows[name]) for name in names)
    return [
        f"Stage 1 before UniformSum: R2 {full:.3f} with its contrastive part, {without:.3f} without (the contrastive "
        f"part adds {full - without:+.3f}), {_r2(rows[BASELINE]):.3f} with no stage 1 and as many steps in all. The "
        f"steps of stage 1 are steps that the fused head does not have."
    ]


def _modulation(rows: Mapping[str, Any]) -> list[str]:
    found = []
    for name in ("sgm", "remd"):
        if name in rows:
            row, base = rows[name], rows[BASELINE]
            ends, logs = row["difference"]["r2"], row["cost"]["logs"]
            decided = ends["low"] > 0 or ends["high"] < 0
            times = row["cost"]["processor_seconds"] / base["cost"]["processor_seconds"]
            found.append(
                f"{row['title']} {'differs' if decided else 'cannot be told'} from UniformSum in R2 "
                f"({ends['estimate']:+.3f}, {ends['low']:+.3f} to {ends['high']:+.3f}). It took {times:.1f} times the "
                f"processor time; {logs['conflict']:.1%} of its steps conflicted; in the others it is UniformSum with "
                f"the encoders' gradients times gamma, whose constant part AdamW cancels."
            )
    return found


def _selection(rows: Mapping[str, Any]) -> list[str]:
    trained = _trained(rows).values()
    gains = [row["last_epoch"]["r2"] - _r2(row) for row in trained]
    epochs = [share for row in trained for share in _shares(row["cost"])]
    return [
        f"At the last epoch the fused rows' R2 differ by {min(gains):+.3f} to {max(gains):+.3f} from those of the "
        f"chosen epoch, which lies at {sum(epochs) / len(epochs):.0%} of the stage on average (near the end "
        f"means that longer training might still gain)."
    ]


def _shares(cost: Mapping[str, Any]) -> list[float]:
    return [value / cost["epochs"] for value in cost["best_epoch"].values()]
