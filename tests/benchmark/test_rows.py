"""Rows that several columns or seeds make."""

from __future__ import annotations

import numpy as np
import pytest
from benchmark_work import noisy, write_work
from sklearn.metrics import mean_squared_error

from medmd.benchmark import load_runs

COLUMNS = {"fusion": noisy(2.0), "unimodal_oct": noisy(3.0), "unimodal_fundus": noisy(6.0)}


def _runs(tmp_path, *derived, **options):
    write_work(tmp_path, {"m": COLUMNS}, derived=derived, patients=200, **options)
    return load_runs(tmp_path)


def _wide(runs, split="testing"):
    long = runs.predictions("first", split)
    return long.pivot_table(index=["seed", "fold", "case_id", "target"], columns="row", values="prediction")


def test_a_blend_is_the_mean_of_its_columns(tmp_path):
    runs = _runs(
        tmp_path,
        {"name": "oct", "of": "m", "column": "unimodal_oct"},
        {"name": "fundus", "of": "m", "column": "unimodal_fundus"},
        {"name": "mean", "of": "m", "blend": ["fusion", "unimodal_*"]},
    )
    wide = _wide(runs)
    np.testing.assert_allclose(wide["mean"], wide[["m", "oct", "fundus"]].mean(axis=1))
    assert runs.problems == []


def test_weights_come_from_the_validation_cases_of_each_run(tmp_path):
    runs = _runs(
        tmp_path,
        {"name": "oct", "of": "m", "column": "unimodal_oct"},
        {"name": "fundus", "of": "m", "column": "unimodal_fundus"},
        {"name": "equal", "of": "m", "blend": ["fusion", "unimodal_*"]},
        {"name": "chosen", "of": "m", "blend": ["fusion", "unimodal_*"], "weights": "validation"},
        {"name": "pulled", "of": "m", "blend": ["fusion", "unimodal_*"], "weights": "validation", "shrinkage": 1e9},
    )
    wide, seen = _wide(runs), []
    for seed, validation in _wide(runs, "validation").groupby(level="seed"):
        testing = wide.xs(seed, level="seed")
        inputs = ["m", "oct", "fundus"]
        # On each run's testing cases the blend is one linear map, whose weights a regression finds again.
        weights = np.linalg.lstsq(testing[inputs], testing["chosen"], rcond=None)[0]
        assert weights.sum() == pytest.approx(1)
        assert weights.min() >= -1e-9
        target = validation.index.get_level_values("target")
        best = mean_squared_error(target, validation[inputs] @ weights)
        for other in np.random.default_rng(0).dirichlet(np.ones(3), 200):
            assert best <= mean_squared_error(target, validation[inputs] @ other) + 1e-9
        seen.append(weights)
    assert not np.allclose(seen[0], seen[1])
    np.testing.assert_allclose(wide["pulled"], wide["equal"], rtol=1e-6)


def test_an_ensemble_is_the_mean_over_seeds_under_each(tmp_path):
    runs = _runs(tmp_path, {"name": "all", "of": "m", "ensemble": True}, seeds=(3, 4, 5), folds=4)
    long = runs.predictions("first")
    expected = long[long["row"] == "m"].groupby("case_id")["prediction"].mean()
    for seed in (3, 4, 5):
        ours = long[(long["row"] == "all") & (long["seed"] == seed)].set_index("case_id")["prediction"]
        assert len(ours) == len(expected) == 400
        np.testing.assert_allclose(ours.sort_index(), expected.sort_index())


def test_a_blend_of_what_is_not_there_is_told(tmp_path):
    runs = _runs(tmp_path, {"name": "x", "of": "m", "blend": ["fusion", "late_average"]})
    assert "x" not in set(runs.predictions("first")["row"])
    assert runs.problems == ["first: no run of m has a column fusion, late_average; the row x is missing."]


def test_classes_have_no_mean(tmp_path):
    def index(target, _):
        return np.zeros(len(target))

    shares = {"fusion": index, "fusion_p0": index, "fusion_p1": index}
    derived = [{"name": "mix", "of": "m", "blend": ["fusion"]}, {"name": "all", "of": "m", "ensemble": True}]
    write_work(tmp_path, {"m": shares}, derived=derived)
    runs = load_runs(tmp_path)

    assert set(runs.predictions("first")["row"]) == {"m"}
    assert runs.has_classes("first")
    assert [problem.split(":")[0] for problem in runs.problems] == ["first, mix", "first, all"]
    assert all("not of classes" in problem for problem in runs.problems)
