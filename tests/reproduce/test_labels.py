"""From which cases the density of training labels is taken."""

import pytest
from benchmark_work import noisy, write_work

from medmd.benchmark import load_runs
from medmd.cli import main
from medmd.data import PhantomCohort, load_datalist
from medmd.reproduce._labels import training_labels
from medmd.utils import read_json, write_json


def work(folder, *, folds=None, phantom=None):
    write_work(folder, {"joint_loss": {"fusion": noisy(1.0)}}, folds=folds, patients=40)
    plan = read_json(folder / "plan.json")
    plan["datasets"][0]["phantom"] = phantom
    write_json(folder / "plan.json", plan)
    return load_runs(folder)


@pytest.mark.parametrize("folds", [None, 4])
def test_folds_ignore_the_datalists_own_split(tmp_path, eyes, folds):
    datalist = load_datalist(eyes / "datalist.json")
    expected = [case.target for split, case in datalist.cases() if folds or split == "training"]
    labels, source = training_labels(work(tmp_path, folds=folds), "first", eyes / "datalist.json")
    assert sorted(labels) == sorted(expected)
    assert ("4 folds" in source) == bool(folds)
    assert ("training cases" in source) == (not folds)


def test_the_phantom_of_figure_2_is_not_taken_for_another_cohort(tmp_path, capsys):
    work(tmp_path)
    for folder in ("bundle/first/phantom", "phantom/first"):
        PhantomCohort(40, 0).write(tmp_path / folder, contact_sheet=False)
    arguments = ["reproduce", "tail", "--work", str(tmp_path), "--dataset", "first"]
    assert main([*arguments, "--replicates", "20", "--permutations", "99"]) == 0
    assert "the validation cases, in the place of the training cases" in capsys.readouterr().out


def test_the_benchmarks_own_phantom_is_known(tmp_path):
    runs = work(tmp_path, phantom={"n": 40})
    PhantomCohort(40, 0).write(tmp_path / "phantom/first", contact_sheet=False)
    labels, source = training_labels(runs, "first", None)
    assert source == "the datalist's training cases"
    assert len(labels) == len(load_datalist(tmp_path / "phantom/first/datalist.json").splits["training"])


def test_folds_without_runs_are_told(tmp_path):
    runs = work(tmp_path, folds=4)
    runs.results = runs.results[runs.results["fold"] < 3]
    labels, source = training_labels(runs, "first", None)
    assert len(labels) == 60
    assert source.startswith("all cases of the 3 folds that have runs")
