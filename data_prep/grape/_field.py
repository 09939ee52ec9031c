"""The visual field of a GRAPE visit: 61 columns of the Octopus G1 pattern, of which 59 are tested."""

from __future__ import annotations

from collections.abc import Sequence

POINTS = 61
BLIND_SPOT = (21, 32)
NOT_SEEN = -1.0
HIGHEST = 40.0


def mean_sensitivity(field: Sequence[float]) -> float:
    """Mean sensitivity of the 59 tested points.

    The release gives no mean deviation in dB (its column "MD" is a progression flag), and none can be computed without
    the perimeter's normative values; the mean sensitivity is what the field itself says.

    Args:
        field: 61 sensitivities in dB in column order; -1 at the blind spot (21 and 32, counted from 0) in either eye,
            and -1 elsewhere where the brightest stimulus was not seen, which counts as 0 dB.

    Returns:
        The mean in dB, at least 0; higher is better.

    Raises:
        ValueError: not 61 values.
    """
    if len(field) != POINTS:
        msg = f"field: expected {POINTS} sensitivities, got {len(field)}"
        raise ValueError(msg)
    tested = [max(0.0, float(value)) for point, value in enumerate(field) if point not in BLIND_SPOT]
    return sum(tested) / len(tested)


def field_fault(field: Sequence[float | None]) -> str | None:
    """Say what in a complete field contradicts the layout: a blind spot that sees, a value that is no sensitivity.

    Missing values are no fault; they leave the visit without a target.
    """
    for point in BLIND_SPOT:
        if field[point] not in (NOT_SEEN, None):
            return f"point {point} is the blind spot: expected -1, got {field[point]:g}"
    for point, value in enumerate(field):
        if value is not None and value != NOT_SEEN and not 0.0 <= value <= HIGHEST:
            return f"point {point}: expected -1 or 0 to {HIGHEST:g} dB, got {value:g}"
    return None
