"""The page of a benchmark, from predictions whose truth is known."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from benchmark_work import noisy, write_work

from benchmarks import _benchmark_claims as claims
from benchmarks import benchmark_page as page
from benchmarks._benchmark_bar import bar
from benchmarks._best_single import with_best_single
from medmd.benchmark import load_runs
from medmd.comparison import Rows, rows_of_runs
from medmd.utils import write_json

SINGLE = {"pretrain_oct": noisy(1.5), "pretrain_fundus": noisy(5.0), "late_average": noisy(3.0)}


@pytest.fixture
def runs(tmp_path):
    write_work(
        tmp_path / "work",
        {
            "late_average": SINGLE,
            "joint_loss": {"fusion": noisy(3.0)},
            "uniform_sum": {"fusion": noisy(2.0)},
            "mmpareto": {"fusion": noisy(2.0)},
            "sgm": {"fusion": noisy(2.0)},
            "remd": {"fusion": noisy(1.0)},
            "broken": None,
        },
        derived=[{"name": "unimodal_*", "of": "late_average", "column": "pretrain_*"}],
        datasets=("first", "second"),
        seeds=(0, 1, 2),
        patients=120,
        summary={"sgm": {"conflict": 0.021, "cosine": 0.8, "gamma": 1.5}},
    )
    return load_runs(tmp_path / "work")


def test_claims_are_judged_as_the_predictions_were_made(runs):
    found = {each.claim.text: each for each in claims.findings(runs, "first")}
    assert found["One fused loss falls below the best single modality"].verdict == "upheld"
    assert found["One fused loss falls below the best single modality"].better == "best single modality (oct)"
    assert found["Re-M3Dr is better than MMPareto"].verdict == "upheld"
    assert found["SGM is better than MMPareto"].verdict == "not decided"
    assert not any("AM pretraining improves fusion" in text for text in found)
    pareto = found["Re-M3Dr is better than MMPareto"]
    assert pareto.low < pareto.estimate < pareto.high < 0
    # Noise of 1 against 2: a quarter of the MSE.
    assert pareto.relative == pytest.approx(-0.75, abs=0.1)


def test_a_claim_the_other_way_round_is_contradicted(runs):
    wrong = claims.Claim("wrong", "joint_loss", "remd")
    (found,) = claims.findings(runs, "first", claims=[wrong])
    assert found.verdict == "contradicted"


def test_the_best_single_modality_is_chosen_on_the_validation_cases_of_each_run_alone(tmp_path):
    single = {"pretrain_oct": noisy(1.0), "pretrain_fundus": noisy(2.0)}
    derived = [{"name": "unimodal_*", "of": "late_average", "column": "pretrain_*"}]
    write_work(tmp_path, {"late_average": single}, derived=derived, folds=4, patients=80)
    # The fundus knows the validation cases of fold 2 best, which fold 3 tests on.
    for path in sorted((tmp_path / "runs" / "first" / "late_average").glob("*/predictions.csv")):
        if "fold2" in path.parent.name:
            table = pd.read_csv(path)
            here = table["split"] == "validation"
            table.loc[here, "pretrain_fundus"] = table.loc[here, "target"]
            table.to_csv(path, index=False)
    runs = load_runs(tmp_path)
    rows = rows_of_runs(runs, "first")
    found = with_best_single(runs, rows)
    assert found.chosen == {"oct": 6, "fundus": 2}
    table = found.rows.table
    assert (table["best_single"] == table["unimodal_oct"].where(table["fold"] != 2, table["unimodal_fundus"])).all()
    assert "best_single" not in rows.table
    assert (
        with_best_single(runs, Rows("first", rows.table.drop(columns=["unimodal_oct", "unimodal_fundus"]), {})) is None
    )


def test_the_page_has_tables_verdicts_and_what_is_missing(runs, tmp_path):
    path = page.write_page(runs, tmp_path / "out")
    text = path.read_text()
    assert "upheld on 2 of 2 data sets" in text
    assert "## first" in text and "## second" in text  # noqa: PT018 - one fact
    assert "| sgm | 2.1 | 0.80 | 1.50 |" in text
    assert "broken, fold 0, seed 0: MedmdError: the loss is not finite" in text
    for name in ("first", "second"):
        assert f"benchmark/differences_{name}.png" in text
        assert (tmp_path / "out" / "benchmark" / f"differences_{name}.png").stat().st_size > 1000
    kept = json.loads((tmp_path / "out" / "benchmark.json").read_text())
    assert {each["verdict"] for each in kept["findings"]["first"]} >= {"upheld", "not decided"}
    assert np.isfinite([each["estimate"] for each in kept["findings"]["first"]]).all()


def test_one_method_against_all_others_is_judged_as_the_predictions_were_made(tmp_path):
    methods = {
        "late_average": SINGLE,
        "sgm": {"fusion": noisy(2.0)},
        "mmpareto": {"fusion": noisy(1.0)},
        "remd_plus": {"fusion": noisy(1.0), "unimodal_oct": noisy(0.6)},
        "am": {"fusion": noisy(0.3), "reference_information": noisy(0.5)},
    }
    derived = [
        {"name": "unimodal_*", "of": "late_average", "column": "pretrain_*"},
        {"name": "remd_plus_*", "of": "remd_plus", "column": "unimodal_*"},
        {"name": "sgm_mean", "of": "sgm", "ensemble": True},
        {"name": "information", "of": "am", "column": "reference_information", "label": "reference"},
    ]
    write_work(tmp_path, methods, derived=derived, seeds=(0, 1, 2), patients=120)
    runs = load_runs(tmp_path)
    found = bar(runs, "first")
    assert set(found.beaten) == {"sgm", "unimodal_oct", "unimodal_fundus"}
    assert found.undecided == ("mmpareto",)
    assert found.better == ("am",)
    assert found.left_out == ("sgm_mean",)
    assert [name for name, *_ in found.nearest][:2] == ["am", "mmpareto"]
    assert not found.reached
    table = runs.predictions("first")
    errors = (table["prediction"] - table["target"])[table["row"].isin(["remd_plus", "information"])]
    mse = (errors**2).groupby(table["row"]).mean()
    variance = table.drop_duplicates("case_id")["target"].var(ddof=0)
    assert found.share == pytest.approx((1 - mse["remd_plus"] / variance) / (1 - mse["information"] / variance))

    best = bar(runs, "first", "am")
    assert best.reached
    assert bar(runs, "first", "nothing") is None
    text = page.write_page(runs, tmp_path / "out", baseline="sgm").read_text()
    assert "beats all others on 0 of 1 data sets" in text
    assert f"am {found.nearest[0][1]:+.3g} (" in text
    assert json.loads((tmp_path / "out" / "benchmark.json").read_text())["bar"][0]["undecided"] == ["mmpareto"]


def test_without_a_known_truth_the_ceiling_is_left_open(tmp_path):
    write_work(tmp_path, {"sgm": {"fusion": noisy(2.0)}, "remd_plus": {"fusion": noisy(0.5)}}, seeds=(0, 1, 2))
    runs = load_runs(tmp_path)
    found = bar(runs, "first")
    assert found.reached
    assert found.share is None
    assert page.write_page(runs, tmp_path / "out", baseline="sgm").read_text().count("| – |") >= 1
    assert json.loads((tmp_path / "out" / "benchmark.json").read_text())["bar"][0]["ceiling"] is None


@pytest.mark.parametrize(("seconds", "words"), [(1800.0, "1.0 hours"), (None, "without 1 searches whose time")])
def test_what_the_searches_cost_is_told(runs, tmp_path, seconds, words):
    for fold, spent in enumerate((1800.0, seconds)):
        trials = [{"settings": {}, "value": 1.0, "status": "finished", "processor": spent}]
        record = {"dataset": "first", "method": "sgm", "fold": fold, "trials": trials}
        write_json(runs.root / "tuning" / "first" / "sgm" / f"fold{fold}.json", record)
    text = page.write_page(runs, tmp_path / "out").read_text()
    assert "2 trials in 2 searches of settings" in text
    assert words in text


def test_a_data_set_without_runs_is_one_line_of_what_is_missing(runs, tmp_path):
    shutil.rmtree(runs.root / "runs" / "second")
    text = page.write_page(load_runs(runs.root), tmp_path / "out").read_text()
    assert "- second: nothing has been run yet." in text
    assert "- second, " not in text
    assert "- first, broken" in text


def test_a_baseline_that_lacks_a_fold_does_not_hold_up_the_page(tmp_path):
    methods = {"sgm": {"fusion": noisy(1.0)}, "uniform_sum": {"fusion": noisy(2.0)}}
    write_work(tmp_path, methods, folds=3, seeds=(0,))
    shutil.rmtree(next((tmp_path / "runs" / "first" / "uniform_sum").glob("fold2*")))
    text = page.write_page(load_runs(tmp_path), tmp_path / "out").read_text()
    assert "Left out, no seed with all of its folds: uniform_sum." in text
    assert "Difference: row minus sgm" in text


def test_a_folder_without_runs_is_refused_in_a_sentence(tmp_path, capsys):
    assert page.main([str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "no plan.json here" in capsys.readouterr().err
