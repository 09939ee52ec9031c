"""The page about single modalities and fusion, from predictions whose truth is known."""

from __future__ import annotations

import json

import pytest
from benchmark_work import noisy, write_work

from benchmarks import phenomenon
from medmd.benchmark import load_runs

SINGLE = {"pretrain_oct": noisy(2.0), "pretrain_fundus": noisy(5.0), "late_average": noisy(3.0)}
DERIVED = [{"name": "unimodal_*", "of": "late_average", "column": "pretrain_*"}]


@pytest.fixture
def runs(tmp_path):
    methods = {"late_average": SINGLE, "worse": {"fusion": noisy(4.0)}, "sgm": {"fusion": noisy(1.0)}}
    summary = {"sgm": {"conflict": 0.125}}
    write_work(
        tmp_path / "work", methods, derived=DERIVED, datasets=("a", "b"), patients=150, seeds=(0, 1, 2), summary=summary
    )
    return load_runs(tmp_path / "work")


def test_the_differences_are_those_that_were_made(runs):
    place = phenomenon.measure(runs, "a")
    assert place.single == "oct"
    assert place.sure >= {"worse", "sgm"}
    # MSE 16 and 1 against 4.
    assert place.cells["worse"][0] == pytest.approx(3.0, rel=0.25)
    assert place.cells["sgm"][0] == pytest.approx(-0.75, abs=0.1)
    assert place.cells["worse"][1] > 0 > place.cells["sgm"][2]
    assert place.conflicts == pytest.approx(0.125)


def test_the_page(runs, tmp_path):
    path = phenomenon.write_page(runs, tmp_path / "out")
    text = path.read_text()
    assert "- worse: better than the best single modality in 0, worse in 2, undecided in 0 of 2 cohorts" in text
    assert "| 12.5 |" in text
    size = json.loads((tmp_path / "out" / "phenomenon.json").read_text())["cohorts"][0]
    assert f"| a | {size['test_cases']} ({size['patients']}) | oct |" in text
    assert f"\n{size['seeds']} seeds of each training, nothing searched." in text
    kept = json.loads((tmp_path / "out" / "phenomenon.json").read_text())
    assert [each["name"] for each in kept["cohorts"]] == ["a", "b"]
    assert (tmp_path / "out" / "phenomenon.png").stat().st_size > 5000


def test_without_single_modalities_there_is_no_page(tmp_path, capsys):
    write_work(tmp_path / "work", {"sgm": {"fusion": noisy(1.0)}})
    assert phenomenon.main([str(tmp_path / "work"), "--out", str(tmp_path / "out")]) == 2
    assert "no data set with finished runs of single modalities" in capsys.readouterr().err
