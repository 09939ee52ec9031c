"""The paper's claims as planned comparisons of two rows, and what a data set says of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks._best_single import BEST_SINGLE, with_best_single
from medmd.benchmark import Runs
from medmd.comparison import Rows, compare_rows, rows_of_runs
from medmd.metrics import correct_p_values

LEVEL = 0.05


@dataclass(frozen=True)
class Claim:
    """What is said to have the lower MSE.

    Attributes:
        text: the claim, for readers.
        better: row that should have the lower MSE.
        worse: the other row. `BEST_SINGLE` is, in each run, the single modality with the least MSE on validation.
        paper: whether the paper says so; the others are controls of ours.
    """

    text: str
    better: str
    worse: str
    paper: bool = True


CLAIMS = (
    Claim("One fused loss falls below the best single modality", BEST_SINGLE, "joint_loss"),
    Claim("Fusion with unimodal heads (uniform sum) falls below the best single modality", BEST_SINGLE, "uniform_sum"),
    Claim("Re-M3Dr is better than the best single modality", "remd", BEST_SINGLE),
    Claim("Re-M3Dr is better than MMPareto", "remd", "mmpareto"),
    Claim("Re-M3Dr is better than OGM-GE", "remd", "ogm_ge"),
    Claim("SGM is better than MMPareto", "sgm", "mmpareto"),
    Claim("AM pretraining improves Re-M3Dr (against SGM alone, as many steps)", "remd", "sgm"),
    Claim("AM pretraining improves fusion (against as many steps without stage 1)", "am", "uniform_sum", paper=False),
    Claim("The contrastive part of stage 1 improves fusion", "am", "stage1_weight_0", paper=False),
    Claim("SGM is better than the uniform sum", "sgm", "uniform_sum", paper=False),
    Claim("Re-M3Dr is better than the uniform sum", "remd", "uniform_sum", paper=False),
    Claim("Re-M3Dr+ is better than UniformSum+", "remd_plus", "uniform_sum_plus", paper=False),
    Claim("The same, both blended with their modalities", "remd_plus_blend", "uniform_sum_plus_blend", paper=False),
    Claim("UniformSum+ is better than UniformSum", "uniform_sum_plus", "uniform_sum", paper=False),
    Claim("Re-M3Dr+ is better than Re-M3Dr", "remd_plus", "remd", paper=False),
)


@dataclass(frozen=True)
class Finding:
    """What one data set says of one claim.

    Attributes:
        claim: which.
        better: title of the row that stands for `claim.better` here.
        worse: title of the row that stands for `claim.worse` here.
        estimate: MSE of the one minus that of the other: below 0 as claimed.
        low: lower end of the 95 % interval.
        high: upper end.
        p_value: of the permutation test, corrected (Holm) for the claims that were tried on the data set.
        relative: the difference as a share of the other's MSE.
    """

    claim: Claim
    better: str
    worse: str
    estimate: float
    low: float
    high: float
    p_value: float
    relative: float

    @property
    def verdict(self) -> str:
        """`upheld`, `contradicted` or `not decided`: interval and corrected test must agree."""
        if self.p_value < LEVEL and self.high < 0:
            return "upheld"
        return "contradicted" if self.p_value < LEVEL and self.low > 0 else "not decided"


def findings(runs: Runs, dataset: str, *, seed: int = 0, claims: Sequence[Claim] = CLAIMS) -> list[Finding]:
    """Test the claims whose rows are there.

    Args:
        runs: of a benchmark.
        dataset: name in its plan.
        seed: of resamples and permutations.
        claims: which.
    """
    rows = rows_of_runs(runs, dataset)
    single = with_best_single(runs, rows)
    rows = rows if single is None else single.rows
    names = dict(rows.titles)
    if single is not None:
        names[BEST_SINGLE] = f"{rows.titles[BEST_SINGLE]} ({single.told})"
    tried = [claim for claim in claims if {claim.better, claim.worse} <= set(rows.names)]
    found = [_pair(rows, claim.better, claim.worse, seed) for claim in tried]
    corrected = correct_p_values([each["p_permutation"] for each in found], "holm")
    return [
        Finding(
            claim,
            better=names[claim.better],
            worse=names[claim.worse],
            estimate=each["estimate"],
            low=each["low"],
            high=each["high"],
            p_value=float(p_value),
            relative=each["relative"],
        )
        for claim, each, p_value in zip(tried, found, corrected, strict=True)
    ]


def _pair(rows: Rows, better: str, worse: str, seed: int) -> Mapping[str, Any]:
    keys = [name for name in rows.table.columns if name not in rows.names]
    two = replace(rows, table=rows.table[[*keys, worse, better]], labels={})
    comparison = compare_rows(two, baseline=worse, statistic="mse", correction="none", seed=seed)
    entries = {entry["name"]: entry for entry in comparison["rows"]}
    difference = entries[better]["difference"]
    other = entries[worse]["metrics"]["mse"]["estimate"]
    return {**difference, "relative": difference["estimate"] / other if other else np.nan}
