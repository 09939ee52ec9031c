"""The synthetic cohort: its arguments, its truth, its ceilings and its files."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from medmd.data.phantom._ceilings import ceilings, information_share, reference_predictions
from medmd.data.phantom._clinic import MdScale
from medmd.data.phantom._latent import MODALITIES, Eye, draw_eyes
from medmd.data.phantom._splits import split_patients
from medmd.utils import MedmdError

# Raised whenever equal arguments would give other bytes than before.
GENERATOR_VERSION = "1"
DEFAULT_EYES = 480
# Of five seeds tried, the one whose validation and test ceilings at the defaults lie nearest to those of endlessly many
# eyes. Chosen by the ceilings alone, before any network saw it: with some hundred eyes chance moves R2 by 0.1.
DEFAULT_SEED = 42
DEFAULT_INFORMATION = {"oct": 0.75, "fundus": 0.65}
DEFAULT_FRACTIONS = {"training": 0.60, "validation": 0.15, "testing": 0.25}


class PhantomCohort:
    """Synthetic eyes with a known truth, written as a datalist with images.

    A damage map of six sectors has a severity (its weighted mean, standard normal) and a pattern (where the damage
    sits, independent of the severity). The true MD is a falling function of the severity that gives it the
    distribution of a glaucoma clinic (UWHVF); the label adds the noise of one visual field. Each modality is rendered
    from the pattern about a *hidden summary* of its own: a standard normal variable whose squared correlation with the
    severity is the modality's `information`. Hence the best possible prediction from any set of modalities is known
    exactly.

    Args:
        n: eyes, at least 1.
        seed: any whole number. Eye k is the same in a larger cohort with the same other arguments.
        information: modality (`oct`, `fundus`) -> information in [0, 1); what is left out keeps its default. Unequal
            values make the learning imbalance.
        tail: length of the tail of damaged eyes, in [0, 2]: 0 none, 1 the clinic's. The data imbalance.
        both_eyes: share of patients who give both eyes; these are alike as in the clinic (rank correlation 0.62).
        missing: modality -> share of eyes in which it is absent; an eye never lacks both.
        fractions: share of eyes in `training`, `validation` and `testing`, summing to 1; patients are kept together.

    Raises:
        MedmdError: an argument out of its range.
    """

    def __init__(
        self,
        n: int = DEFAULT_EYES,
        seed: int = DEFAULT_SEED,
        *,
        information: Mapping[str, float] | None = None,
        tail: float = 1.0,
        both_eyes: float = 0.4,
        missing: Mapping[str, float] | None = None,
        fractions: Mapping[str, float] | None = None,
    ) -> None:
        self.n = int(_within("n", n, 1, 10_000_000))
        self.seed = int(seed)
        given = _named("information", information or {}, MODALITIES, 0.0, 0.999)
        self.information = {name: given.get(name, DEFAULT_INFORMATION[name]) for name in MODALITIES}
        self.tail = _within("tail", tail, 0.0, 2.0)
        self.both_eyes = _within("both_eyes", both_eyes, 0.0, 1.0)
        self.missing = _named("missing", missing or {}, MODALITIES, 0.0, 1.0)
        self.fractions = _named("fractions", fractions or DEFAULT_FRACTIONS, DEFAULT_FRACTIONS, 0.0, 1.0)
        if abs(sum(self.fractions.values()) - 1.0) > 1e-9:
            msg = f"fractions: expected shares that sum to 1, got {self.fractions}."
            raise MedmdError(msg)
        self.scale = MdScale(self.tail)

    @property
    def arguments(self) -> dict[str, Any]:
        """What decides every byte of the files, as JSON."""
        return {
            "generator": f"medmd.data.PhantomCohort {GENERATOR_VERSION}",
            "n": self.n,
            "seed": self.seed,
            "information": dict(self.information),
            "tail": self.tail,
            "both_eyes": self.both_eyes,
            "missing": dict(self.missing),
            "fractions": dict(self.fractions),
        }

    @cached_property
    def eyes(self) -> tuple[Eye, ...]:
        """The truth of every eye."""
        return draw_eyes(
            self.n,
            self.seed,
            information=self.information,
            scale=self.scale,
            both_eyes=self.both_eyes,
            missing=self.missing,
        )

    @cached_property
    def splits(self) -> list[str]:
        """The split of every eye."""
        return split_patients(self.eyes, self.fractions, self.seed)

    @cached_property
    def references(self) -> list[dict[str, float]]:
        """Known truths of every eye in dB, as they stand in the datalist."""
        return reference_predictions(self.eyes, self.information, self.scale)

    def ceilings(self, split: str | None = None) -> dict[str, dict[str, float]]:
        """What each reference predictor reaches on a split, or on all eyes: R2, RMSE and MAE in dB.

        `label_noise` predicts the true MD; `information` is the posterior mean of MD given the hidden summaries of the
        modalities an eye has, `information_<modality>` given that modality's alone. No network can be expected to pass
        the latter two.
        """
        chosen = [k for k, name in enumerate(self.splits) if split in (None, name)]
        return ceilings([self.eyes[k].measured_md for k in chosen], [self.references[k] for k in chosen])

    def write(self, out: str | Path, *, workers: int = 1, contact_sheet: bool = True) -> Path:
        """Write images, datalist and contact sheet; do nothing that was done before.

        Args:
            out: folder; made when absent. One that holds the same cohort is finished, any other content is refused.
            workers: processes that render. They do not change a byte. Scripts that ask for more than one need the usual
                `if __name__ == "__main__"`.
            contact_sheet: whether to write `contact_sheet.png`, eyes ordered by MD.

        Returns:
            Path of the datalist.

        Raises:
            MedmdError: `out` holds something else; it is left untouched.
        """
        from medmd.data.phantom._datalist import write_cohort

        return write_cohort(self, Path(out), workers=workers, contact_sheet=contact_sheet)

    def reference(self) -> dict[str, Any]:
        """The header's `reference`: arguments, ceilings by split, and the information of both modalities together."""
        parts = ["all", *dict.fromkeys(name for name in self.fractions if name in self.splits)]
        return {
            "arguments": self.arguments,
            "ceilings": {part: self.ceilings(None if part == "all" else part) for part in parts},
            "information_together": round(information_share(self.information.values()), 4),
        }


def _within(name: str, value: float, low: float, high: float) -> float:
    if not low <= value <= high:
        msg = f"{name}: expected a number from {low} to {high}, got {value}."
        raise MedmdError(msg)
    return float(value)


def _named(name: str, values: Mapping[str, float], allowed: Any, low: float, high: float) -> dict[str, float]:
    unknown = sorted(set(values) - set(allowed))
    if unknown:
        msg = f"{name}: unknown {', '.join(unknown)}. Expected some of {', '.join(allowed)}."
        raise MedmdError(msg)
    return {key: _within(f"{name} of {key}", values[key], low, high) for key in allowed if key in values}
