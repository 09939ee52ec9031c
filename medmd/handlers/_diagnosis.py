"""Which cases made a step's losses no numbers, in words."""

from __future__ import annotations

import math
from dataclasses import dataclass

from medmd.engines import StepRecord

_LISTED = 5
_DATA = "Look at these cases with `medmd check`, and at the transforms: one that divides may give no number."
_OPTIMISATION = "Try a lower learning_rate{rate} or set gradient_clip{clip}; `medmd check` looks for extreme cases."


@dataclass(frozen=True)
class Diagnosis:
    """What was found.

    Attributes:
        text: sentences that name the cases by pseudonym.
        is_data: whether an input or a target was no number already, so that no setting can mend it.
    """

    text: str
    is_data: bool


def is_loss(name: str) -> bool:
    """Whether a logged number is a loss: `loss`, `loss_oct` in stage 2; `oct/loss`, `oct/contrastive` in stage 1.

    Others, such as the share of a tail that a batch does not have, are NaN by rights.
    """
    last = name.rpartition("/")[2]
    return last in ("loss", "regression", "contrastive") or last.startswith("loss_")


def diagnose(record: StepRecord | None) -> Diagnosis:
    """Find the cases of a step whose input, target or prediction is not finite, in this order."""
    if record is None:
        return Diagnosis("Which cases it had was not kept.", is_data=False)
    table = record.table()
    for kind in ("input", "target", "prediction"):
        bad = {name: _bad_cases(record, name, values) for name, values in table.items() if name.split(" ")[0] == kind}
        texts = [_text(record, name, cases) for name, cases in bad.items() if cases]
        if texts:
            return Diagnosis(f"Not finite: {'; '.join(texts)}.{_whole(record, bad)}", is_data=kind != "prediction")
    return Diagnosis(
        f"No case alone is at fault: inputs, targets and predictions are finite, a sum overflowed ({_listed(record)}).",
        is_data=False,
    )


def advice(diagnosis: Diagnosis, *, learning_rate: float | None, gradient_clip: float | None) -> str:
    """What to try."""
    if diagnosis.is_data:
        return _DATA
    rate = "" if learning_rate is None else f" (now {learning_rate:.3g})"
    clip = " (now off; 1.0, say)" if gradient_clip is None else f" lower (now {gradient_clip:g})"
    return _OPTIMISATION.format(rate=rate, clip=clip)


def _bad_cases(record: StepRecord, name: str, values: list[float]) -> list[str]:
    rows = [row for row in range(len(values)) if record.is_present(row, name)]
    return list(dict.fromkeys(record.case_ids[row] for row in rows if not math.isfinite(values[row])))


def _text(record: StepRecord, name: str, bad: list[str]) -> str:
    what, _, of = name.partition(" ")
    if what == "prediction":
        every = "every prediction" if _is_everybody(record, name, bad) else "the prediction"
        return f"{every} from {of} ({_listed(record, bad)})"
    return f"the {f'{what} {of}'.strip()} of {_listed(record, bad)}"


def _is_everybody(record: StepRecord, name: str, bad: list[str]) -> bool:
    rows = range(len(record.case_ids))
    return len(bad) == len({record.case_ids[row] for row in rows if record.is_present(row, name)}) > 1


def _whole(record: StepRecord, bad: dict[str, list[str]]) -> str:
    if not any(name.startswith("prediction") and _is_everybody(record, name, cases) for name, cases in bad.items()):
        return ""
    return " So the step before left weights that give no numbers, or one case spoiled all through normalisation."


def _listed(record: StepRecord, cases: list[str] | None = None) -> str:
    names = list(dict.fromkeys(record.case_ids)) if cases is None else cases
    more = len(names) - _LISTED
    further = f" and {more} more" if more > 0 else ""
    return f"case{'s' if len(names) > 1 else ''} {', '.join(names[:_LISTED])}{further}"
