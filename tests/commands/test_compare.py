import json

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
