import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from benchmark_work import noisy, write_work

from medmd.cli import main
from medmd.report import write_predictions

FAST = ["--replicates", "50", "--permutations", "99"]


def table(path, spread, n=30):
    target = np.random.default_rng(0).normal(-5, 4, n)
    noise = np.random.default_rng(len(str(path))).normal(size=n)
    cases = [f"c{number}" for number in range(n)]
    frame = pd.DataFrame({"case_id": cases, "patient_id": cases, "split": "testing", "target": target})
    path.parent.mkdir(parents=True, exist_ok=True)
    write_predictions(path, frame.assign(fusion=target + spread * noise))
    return str(path)


def test_tables_are_compared_and_written(tmp_path, capsys):
    good, bad = table(tmp_path / "good/predictions.csv", 1.0), table(tmp_path / "bad/predictions.csv", 6.0)
    assert main(["compare", good, f"other={bad}", "--out", str(tmp_path / "out"), "--metric", "r2", *FAST]) == 0
    shown = capsys.readouterr().out
    assert "R2 [95 %]" in shown
    assert "**good**" in shown
    assert "other" in shown
    found = json.loads((tmp_path / "out/comparison.json").read_text())["comparisons"][0]
    assert (found["statistic"], found["baseline"], found["best"]) == ("r2", "good", "good")


def test_a_benchmark_is_compared(tmp_path, capsys):
    write_work(tmp_path, {"a": {"fusion": noisy(1.0)}, "b": {"fusion": noisy(2.0)}, "c": None}, datasets=("x", "y"))
    assert main(["compare", "--work", str(tmp_path), "--baseline", "b", "--all-pairs", *FAST]) == 0
    shown = capsys.readouterr().out
    assert "\nx\n" in shown
    assert "\ny\n" in shown
    assert "the loss is not finite" in shown
    assert main(["compare", "--work", str(tmp_path), "--dataset", "x", "--row", "a", *FAST]) == 0
    assert "\ny\n" not in capsys.readouterr().out


def test_a_benchmark_under_way_is_compared_where_it_has_runs(tmp_path, capsys):
    work = write_work(tmp_path, {"a": {"fusion": noisy(1.0)}, "b": {"fusion": noisy(2.0)}}, datasets=("x", "y", "z"))
    for name in ("y", "z"):
        shutil.rmtree(work.root / "runs" / name / ("a" if name == "y" else ""))
    shutil.rmtree(work.root / "runs" / "x" / "b" / "fold0-seed1")
    assert main(["compare", "--work", str(tmp_path), *FAST]) == 0
    shown = capsys.readouterr().out
    assert "\nx\n" in shown
    assert "\nz\n" not in shown
    assert "note: no run has finished on z." in shown
    assert "x, b: 1 of 2 runs are missing" in shown
    assert main(["compare", "--work", str(tmp_path), "--dataset", "x", *FAST]) == 0
    shown = capsys.readouterr().out
    assert "x, b: 1 of 2 runs are missing" in shown
    assert "y, a" not in shown


@pytest.mark.parametrize("arguments", [[], ["a.csv", "--work", "w"]])
def test_sources_or_a_benchmark(arguments, capsys):
    assert main(["compare", *arguments]) == 2
    assert "either sources" in capsys.readouterr().err


def test_two_sources_of_one_name_have_to_be_named(tmp_path, capsys):
    paths = [table(tmp_path / f"{seed}/run/predictions.csv", 1.0) for seed in range(2)]
    assert main(["compare", *paths, *FAST]) == 2
    assert "NAME=PATH" in capsys.readouterr().err
    assert main(["compare", *(f"run={path}" for path in paths), *FAST]) == 0
    assert "2 training seeds" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--work", "{work}", "--column", "fusion"], "--column: is for tables"),
        (["{table}", "--row", "a"], "--row: is for --work"),
        (["{table}", "--dataset", "x"], "--dataset: is for --work"),
        (["--work", "{work}", "--split", "test"], "split: expected testing or validation of a benchmark, got 'test'"),
        (["--work", "{work}", "--metric", "error_rate"], "error_rate is for classes, and the targets are numbers"),
    ],
)
def test_options_that_would_be_ignored_or_mean_nothing_are_refused(arguments, told, tmp_path, capsys):
    places = {"work": tmp_path / "work", "table": table(tmp_path / "run/predictions.csv", 1.0)}
    write_work(tmp_path / "work", {"a": {"fusion": noisy(1.0)}, "b": {"fusion": noisy(2.0)}})
    assert main(["compare", *(word.format(**places) for word in arguments), *FAST]) == 2
    assert told in capsys.readouterr().err


def test_a_benchmark_whose_runs_all_failed_says_so(tmp_path, capsys):
    write_work(tmp_path, {"a": None})
    assert main(["compare", "--work", str(tmp_path), *FAST]) == 2
    assert re.search(r"no run has finished; \d+ failed, the first as: .*loss is not finite", capsys.readouterr().err)


def test_classes_are_compared_by_the_share_of_wrong_ones(tmp_path, capsys):
    frame = pd.read_csv(table(tmp_path / "a/predictions.csv", 1.0)).drop(columns="fusion")
    frame["target"] = (frame["target"] > -5).astype(float)
    for name, wrong in (("a", 3), ("b", 12)):
        guess = frame["target"].where(frame.index >= wrong, 1 - frame["target"])
        (tmp_path / name).mkdir(exist_ok=True)
        write_predictions(
            tmp_path / name / "predictions.csv", frame.assign(fusion=guess, fusion_p0=1 - guess, fusion_p1=guess)
        )
    sources = [str(tmp_path / name / "predictions.csv") for name in "ab"]
    assert main(["compare", *sources, *FAST]) == 0
    shown = capsys.readouterr().out
    assert "error rate" in shown
    assert "0.100 [" in shown
    assert main(["compare", *sources, "--metric", "mse", *FAST]) == 0
    assert "these are errors of their indices" in capsys.readouterr().out
