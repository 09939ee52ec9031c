"""What the measured differences mean, in sentences that follow from the numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# SD of a mild field about the true MD, the smallest that the phantom gives (docs/concepts/phantom.md).
_RETEST_DB = 0.75


def threads_words(threads: Mapping[str, Any]) -> list[str]:
    """About 2 threads against 1."""
    twice = "gave the same twice, bit for bit" if threads["twice_equal"] else "did **not** give the same twice"
    if not threads["leaves_that_differ"]:
        return [f"2 threads {twice}, and nothing differs from 1 thread."]
    largest = max(found["largest_db"] for found in threads["predictions"].values())
    return [
        f"2 threads {twice}. Against 1 thread {threads['leaves_that_differ']} of {threads['leaves']} leaves of the "
        f"last checkpoints differ, since sums are added in another order; predictions by at most {largest:.1e} dB "
        f"({_beside_retest(largest)}). Fix `threads` where equality is needed."
    ]


def drift_words(drift: Mapping[str, Any]) -> list[str]:
    """About the precision of the arithmetic."""
    ends = {name: pair["predictions_rms_db"][-1] for name, pair in drift["pairs"].items()}
    largest = drift["pairs"]["float64"]["predictions_largest_db"][-1]
    lanes = drift["lanes"]
    errors = [lane["mae_db"] for lane in lanes.values()]
    ratio = ends["float64"] / ends["nudged"] if ends["nudged"] else float("inf")
    cause = (
        "the training itself carries the smallest difference that far, and more digits would not make it repeatable"
        if ratio < 10
        else f"rounding in float32 leads {ratio:.0f} times as far as that nudge"
    )
    others = "; ".join(f"{lanes[name]['title']}: {end:.1e} dB" for name, end in ends.items() if name != "float64")
    return [
        f"After {drift['steps']} steps float32 and float64 predict {ends['float64']:.1e} dB apart (root mean square; "
        f"at most {largest:.1e} dB, {_beside_retest(largest)}). From plain float32 also end apart: {others}. So "
        f"{cause}. The mean absolute error on the held-out eyes is {min(errors):.3f} to {max(errors):.3f} dB over all "
        f"lanes, {lanes['float32']['mae_db']:.3f} in float32 and {lanes['float64']['mae_db']:.3f} in float64.",
        "",
        *[_kink(lanes[name]["title"], pair) for name, pair in drift["pairs"].items()],
    ]


def _kink(title: str, pair: Mapping[str, Any]) -> str:
    """When the first ReLU fell on the other side, and what that does to the losses."""
    steps = [step for step, count in enumerate(pair["signs"], start=1) if count]
    if not steps:
        return f"- {title}: no ReLU falls on the other side of 0; the losses differ by at most {max(pair['loss']):.1e}."
    before, after = pair["loss"][: steps[0] - 1], pair["loss"][steps[0] - 1 :]
    return (
        f"- {title}: at step {steps[0]} the first ReLU falls on the other side of 0 ({pair['signs'][steps[0] - 1]} in "
        f"its forward passes). Before it the losses differ by at most {max(before, default=0.0):.1e}, from it on by up "
        f"to {max(after):.1e}."
    )


def _beside_retest(difference: float) -> str:
    """A difference in dB beside the noise of the measurement that is predicted."""
    return f"{100 * difference / _RETEST_DB:.2g} % of the {_RETEST_DB} dB of noise of the mildest field"
