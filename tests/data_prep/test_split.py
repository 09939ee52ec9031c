import argparse

import pytest

from data_prep._split import SplitOptions, add_split_arguments, describe_splits, read_split_arguments, split_cases
from medmd.data import Case, TargetSpec
from medmd.utils import MedmdError

TARGET = TargetSpec(name="mean_sensitivity", range=(0, 35))
CASES = [
    Case(case_id=f"c{number:03d}", patient_id=f"p{number // 2:03d}", inputs={"v": [1.0]}, target=number * 7 % 31)
    for number in range(60)
]


def ids(cases):
    return {case.case_id for case in cases}


def patients(cases):
    return {case.patient_id for case in cases}


def test_fractions_are_those_asked_for_and_no_patient_is_in_two_parts():
    splits = split_cases(CASES, SplitOptions(), TARGET)
    assert {name: len(cases) for name, cases in splits.items()} == {"training": 42, "validation": 6, "testing": 12}
    assert sum(len(patients(cases)) for cases in splits.values()) == 30
    assert describe_splits(splits)["testing"] == {"cases": 12, "patients": 6}


def test_a_fraction_of_zero_leaves_the_part_out():
    assert set(split_cases(CASES, SplitOptions(validation_fraction=0), TARGET)) == {"training", "testing"}


def test_every_case_is_tested_once_over_the_folds():
    tested = [ids(split_cases(CASES, SplitOptions(folds=5, fold=fold), TARGET)["testing"]) for fold in range(5)]
    assert set.union(*tested) == ids(CASES)
    assert sum(map(len, tested)) == len(CASES)


def test_unsplit_is_one_list():
    assert split_cases(CASES, SplitOptions(unsplit=True), TARGET) == {"unsplit": CASES}


def test_the_seed_decides():
    def testing(seed):
        return ids(split_cases(CASES, SplitOptions(seed=seed), TARGET)["testing"])

    assert testing(0) == testing(0)
    assert testing(0) != testing(1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unsplit": True, "folds": 5, "fold": 0}, "expected --unsplit or --folds, got both"),
        ({"folds": 5}, "--folds K together with --fold I"),
        ({"fold": 0}, "--folds K together with --fold I"),
        ({"folds": 1, "fold": 0}, "2 or more folds"),
        ({"folds": 5, "fold": 5}, "a fold from 0 to folds - 1, got --folds 5 --fold 5"),
        ({"folds": 5, "fold": -1}, "got --folds 5 --fold -1"),
        ({"test_fraction": 0.9}, "leave something to train on, got 0.9 and 0.1"),
        ({"test_fraction": -0.1}, "at least 0"),
        ({"validation_fraction": 1.0, "test_fraction": 0.0}, "at least 0"),
        ({"validation_fraction": float("nan")}, "at least 0"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, message):
    with pytest.raises(MedmdError, match=message):
        SplitOptions(**options).check()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", {"test_fraction": 0.2, "validation_fraction": 0.1, "seed": 0}),
        (
            "--seed 3 --test-fraction 0.3 --validation-fraction 0",
            {"test_fraction": 0.3, "validation_fraction": 0.0, "seed": 3},
        ),
        ("--folds 4 --fold 1 --seed 2", {"folds": 4, "fold": 1, "seed": 2}),
        ("--unsplit --seed 9", {"unsplit": True}),
    ],
)
def test_the_command_line_says_the_same_as_the_options(line, expected):
    parser = argparse.ArgumentParser()
    add_split_arguments(parser)
    options = read_split_arguments(parser.parse_args(line.split()))
    options.check()
    assert options.as_json() == expected
