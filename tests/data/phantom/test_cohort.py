"""Arguments are checked, splits keep patients together, and importing costs little."""

import subprocess
import sys

import numpy as np
import pytest

from medmd.data.phantom import PhantomCohort
from medmd.utils import MedmdError


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"n": 0}, "n: expected"),
        ({"tail": 2.5}, "tail"),
        ({"both_eyes": -0.1}, "both_eyes"),
        ({"information": {"oct": 1.0}}, "information of oct"),
        ({"information": {"octt": 0.5}}, "unknown octt"),
        ({"missing": {"fundus": 1.5}}, "missing of fundus"),
        ({"missing": {"mri": 0.5}}, "unknown mri"),
        ({"fractions": {"training": 0.5}}, "sum to 1"),
    ],
)
def test_wrong_arguments_are_named(arguments, word):
    with pytest.raises(MedmdError, match=word):
        PhantomCohort(**{"n": 4, **arguments})


@pytest.mark.parametrize("n", [60, 480])
def test_splits_keep_patients_together_and_shares(n):
    cohort = PhantomCohort(n, 9, both_eyes=0.5)
    home = {}
    for eye, split in zip(cohort.eyes, cohort.splits, strict=True):
        assert home.setdefault(eye.patient, split) == split
    for split, share in cohort.fractions.items():
        assert cohort.splits.count(split) == pytest.approx(share * n, abs=2)


def test_every_split_sees_the_tail():
    cohort = PhantomCohort(480, 10)
    md = np.array([eye.measured_md for eye in cohort.eyes])
    splits = np.array(cohort.splits)
    for split in set(cohort.splits):
        share = (md[splits == split] < -12).mean()
        assert share == pytest.approx((md < -12).mean(), abs=0.05)


@pytest.mark.parametrize("seed", range(5))
def test_eight_eyes_fill_every_split(seed):
    assert set(PhantomCohort(8, seed).splits) == {"training", "validation", "testing"}


def test_one_split_may_hold_all():
    assert set(PhantomCohort(5, 0, fractions={"testing": 1.0}).splits) == {"testing"}


def test_knobs_move_the_ceilings():
    weak = PhantomCohort(1500, 1, information={"oct": 0.3, "fundus": 0.2}).ceilings()["information"]["r2"]
    strong = PhantomCohort(1500, 1, information={"oct": 0.9}).ceilings()["information"]["r2"]
    assert weak < 0.5 < 0.75 < strong


def test_import_is_light():
    code = (
        "import sys, importlib.util, medmd.utils\n"
        "before = set(sys.modules)\n"
        "import medmd.data.phantom\n"
        "print([m for m in ('scipy', 'PIL', 'nibabel', 'matplotlib') if m in sys.modules and m not in before])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "matplotlib" not in answer.stdout
