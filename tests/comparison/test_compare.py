import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from benchmark_work import noisy, write_work
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from medmd.benchmark import load_runs
from medmd.comparison import (
    Rows,
    compare_rows,
    comparison_table,
    explain,
    rank_blocks,
    rows_of_runs,
    rows_of_tables,
    write_comparison,
)
from medmd.metrics import permutation_test
from medmd.report import write_predictions
from medmd.utils import MedmdError

FAST = {"replicates": 100, "permutations": 199}


def rows(spreads, *, patients=40, seeds=2, rng=0, labels=None):
    generator = np.random.default_rng(rng)
    cases = pd.DataFrame(
        {
            "case_id": [f"c{number:03d}" for number in range(2 * patients)],
            "patient_id": [f"p{number // 2:03d}" for number in range(2 * patients)],
            "fold": 0,
            "target": generator.normal(-5, 4, 2 * patients),
        }
    )
    table = cases.merge(pd.DataFrame({"seed": range(seeds)}), how="cross")
    for name, spread in spreads.items():
        table[name] = table["target"] + spread * generator.normal(size=len(table))
    return Rows("set", table, {name: name.title() for name in spreads}, labels or {})


def by_name(comparison):
    return {row["name"]: row for row in comparison["rows"]}


def test_metrics_are_those_of_scikit_learn_over_all_seeds():
    given = rows({"a": 1.0, "b": 2.0})
    found = by_name(compare_rows(given, **FAST))
    for name in "ab":
        target, prediction = given.table["target"], given.table[name]
        metrics = {key: value["estimate"] for key, value in found[name]["metrics"].items()}
        assert metrics["mse"] == pytest.approx(mean_squared_error(target, prediction))
        assert metrics["mae"] == pytest.approx(mean_absolute_error(target, prediction))
        assert metrics["r2"] == pytest.approx(r2_score(target, prediction))
        assert metrics["rmse"] == pytest.approx(np.sqrt(metrics["mse"]))
        assert found[name]["implied_variance"] == pytest.approx(np.var(target))
        assert found[name]["metrics"]["mse"]["low"] < metrics["mse"] < found[name]["metrics"]["mse"]["high"]


def test_the_difference_to_the_baseline_is_tested_and_corrected():
    given = rows({"base": 1.0, "same": 1.02, "worse": 2.5, "bad": 4.0})
    found = compare_rows(given, **FAST)
    entries = by_name(found)
    assert entries["base"]["difference"] is None
    differences = {name: entries[name]["difference"] for name in ("same", "worse", "bad")}
    assert differences["worse"]["low"] > 0
    assert differences["same"]["low"] < 0 < differences["same"]["high"]
    table = given.table
    alone = permutation_test(
        table["target"],
        {name: table[name] for name in ("base", "same")},
        table["patient_id"],
        seed=0,
        groups=table["seed"],
        permutations=1999,
    )
    assert differences["same"]["p_permutation"] == pytest.approx(alone["base", "same"].p_value, abs=0.06)
    # Holm: three comparisons with the baseline.
    smallest = min(difference["p_permutation"] for difference in differences.values())
    assert min(d["p_corrected"] for d in differences.values()) == pytest.approx(3 * smallest)
    assert len(found["pairs"]) == 6


def test_only_what_beats_every_other_row_is_best():
    clear = compare_rows(rows({"a": 1.0, "b": 2.0, "c": 2.5}), **FAST)
    assert clear["best"] == "a"
    assert compare_rows(rows({"a": 1.0, "b": 1.02, "c": 2.5}), **FAST)["best"] is None
    assert compare_rows(rows({"a": 1.0, "b": 2.0, "c": 2.5}), correction="none", **FAST)["best"] is None
    # The worst differs from every other row too, and is not best.
    assert compare_rows(rows({"a": 2.0, "b": 2.02, "c": 9.0}), **FAST)["best"] is None
    assert compare_rows(rows({"a": 1.0, "b": 2.0}), statistic="r2", **FAST)["best"] == "a"


def test_a_bold_number_has_a_test_and_the_page_says_so():
    clear = compare_rows(rows({"a": 1.0, "b": 2.0, "c": 2.5}), **FAST)
    _, cells = comparison_table(clear)
    assert [row[0].startswith("**") for row in cells] == [True, False, False]
    assert any("Bold: A" in line and "all 3 pairs (Holm)" in line for line in explain(clear))
    tied = compare_rows(rows({"a": 1.0, "b": 1.02}), **FAST)
    assert "**" not in str(comparison_table(tied)[1])
    assert any(line.startswith("No row is bold") for line in explain(tied))


def test_references_are_shown_and_not_ranked():
    given = rows({"a": 1.0, "ceiling": 0.1}, labels={"ceiling": "reference"})
    found = compare_rows(given, **FAST)
    assert found["pairs"] == []
    assert found["best"] is None
    assert by_name(found)["ceiling"]["difference"]["p_corrected"] is None
    assert comparison_table(found)[1][1][0] == "Ceiling (reference)"


def test_rows_with_fewer_seeds_are_compared_on_those():
    given = rows({"a": 1.0, "b": 2.0}, seeds=3)
    given.table.loc[given.table["seed"] == 2, "b"] = np.nan
    found = by_name(compare_rows(given, **FAST))
    assert (found["a"]["seeds"], found["b"]["seeds"], found["b"]["difference"]["seeds"]) == (3, 2, 2)
    both = given.table[given.table["seed"] < 2]
    expected = np.mean((both["b"] - both["target"]) ** 2) - np.mean((both["a"] - both["target"]) ** 2)
    assert found["b"]["difference"]["estimate"] == pytest.approx(expected)


def test_classes_are_compared_by_their_share_of_errors():
    generator = np.random.default_rng(0)
    table = pd.DataFrame({"case_id": [f"c{i}" for i in range(90)], "patient_id": [f"p{i}" for i in range(90)]})
    table = table.assign(fold=0, seed=0, target=generator.integers(3, size=90).astype(float))
    table["good"] = np.where(generator.random(90) < 0.1, 0.0, table["target"])
    table["bad"] = generator.integers(3, size=90).astype(float)
    found = compare_rows(Rows("", table, {"good": "good", "bad": "bad"}), statistic="error_rate", **FAST)
    entries = by_name(found)
    assert entries["bad"]["metrics"]["error_rate"]["estimate"] == np.mean(table["bad"] != table["target"])
    assert found["best"] == "good"
    assert comparison_table(found)[0][1] == "error rate [95 %]"


def test_what_cannot_be_compared_is_refused():
    given = rows({"a": 1.0, "b": 2.0})
    with pytest.raises(MedmdError, match=r"baseline: expected one of the rows a, b, got 'z'"):
        compare_rows(given, baseline="z")
    with pytest.raises(MedmdError, match="statistic"):
        compare_rows(given, statistic="rmsle")
    with pytest.raises(MedmdError, match="nothing to compare"):
        compare_rows(rows({"a": 1.0}, labels={"a": "reference"}))


def work(tmp_path, **more):
    methods = {
        "uniform_sum": {"fusion": noisy(2.0), "pretrain_oct": noisy(3.0)},
        "sgm": {"fusion": noisy(1.0)},
        "ridge": {"fusion": noisy(2.5)},
    }
    options = {
        "labels": {"ridge": "peer"},
        "derived": [{"name": "only oct", "of": "uniform_sum", "column": "pretrain_oct"}],
    }
    write_work(tmp_path / "work", methods, **(options | more))
    return load_runs(tmp_path / "work")


def test_rows_of_a_benchmark_pool_its_folds(tmp_path):
    found = rows_of_runs(work(tmp_path, folds=4), "first")
    assert found.names == ["uniform_sum", "sgm", "ridge", "only oct"]
    assert found.table.groupby("seed")["case_id"].nunique().tolist() == [40, 40]
    assert not found.table[["case_id", "seed"]].duplicated().any()
    assert found.notes == []


def test_a_seed_without_all_folds_is_left_out_and_named(tmp_path):
    runs = work(tmp_path, folds=4)
    runs.results = runs.results[
        ~((runs.results["method"] == "sgm") & (runs.results["seed"] == 1) & (runs.results["fold"] == 2))
    ]
    found = rows_of_runs(runs, "first")
    assert found.notes == ["sgm: seed 1 left out, not all 4 folds are there."]
    assert found.table.loc[found.table["seed"] == 1, "sgm"].isna().all()
    assert len(found.table) == 80


def test_a_peer_with_one_seed_stands_for_all(tmp_path):
    runs = work(tmp_path)
    runs.results = runs.results[~((runs.results["method"] == "ridge") & (runs.results["seed"] == 1))]
    table = rows_of_runs(runs, "first").table
    first, second = (table[table["seed"] == seed].sort_values("case_id")["ridge"].tolist() for seed in (0, 1))
    assert first == second


def test_rows_are_chosen_and_missing_ones_refused(tmp_path):
    runs = work(tmp_path)
    assert rows_of_runs(runs, "first", only=["sgm", "uniform_sum"]).names == ["sgm", "uniform_sum"]
    assert rows_of_runs(runs, "first", split="validation").notes[0] == "Cases of the list validation, not of testing."
    with pytest.raises(MedmdError, match="no predictions of zebra"):
        rows_of_runs(runs, "first", only=["zebra"])
    with pytest.raises(MedmdError, match="split: expected testing or validation"):
        rows_of_runs(runs, "first", split="training")


def table(path, target, prediction, **more):
    cases = [f"c{number}" for number in range(len(target))]
    frame = pd.DataFrame({"case_id": cases, "patient_id": cases, "split": "testing", "target": target})
    write_predictions(path, frame.assign(fusion=prediction, **more))
    return path


def test_tables_are_intersected_and_the_count_is_told(tmp_path):
    target = np.linspace(-10, 0, 12)
    first = table(tmp_path / "a.csv", target, target + 1)
    second = table(tmp_path / "b.csv", target[:9], target[:9])
    found = rows_of_tables([("a", first), ("b", second)])
    assert found.names == ["a", "b"]
    assert len(found.table) == 9
    assert found.notes == ["9 of 12 cases are predicted by every row; the other 3 are left out."]


def test_sources_of_one_name_are_seeds(tmp_path):
    target = np.linspace(-10, 0, 12)
    paths = [table(tmp_path / f"{seed}.csv", target, target + seed) for seed in range(3)]
    found = rows_of_tables([("a", paths[0]), ("a", paths[1]), ("b", paths[2])])
    assert found.table.groupby("seed")["a"].mean().round(6).tolist() == [-5.0, -4.0]
    assert found.table.loc[found.table["seed"] == 1, "b"].isna().all()


def test_the_columns_of_one_table_are_rows(tmp_path):
    target = np.linspace(-10, 0, 12)
    path = table(tmp_path / "a.csv", target, target + 1, pretrain_oct=target + 2, reference_information=target)
    found = rows_of_tables([("a", path)])
    assert found.names == ["fusion", "pretrain_oct", "reference_information"]
    assert found.ranked == ["fusion", "pretrain_oct"]
    assert rows_of_tables([("a", path)], columns=["pretrain_oct"]).names == ["pretrain_oct"]


def test_tables_that_disagree_or_share_nothing_are_refused(tmp_path):
    target = np.linspace(-10, 0, 12)
    first = table(tmp_path / "a.csv", target, target)
    with pytest.raises(MedmdError, match=r"'c0': the tables disagree about its target"):
        rows_of_tables([("a", first), ("b", table(tmp_path / "b.csv", target - 1, target))])
    with pytest.raises(MedmdError, match="no column late_average"):
        rows_of_tables([("a", first)], columns=["late_average"])
    with pytest.raises(MedmdError, match="no case in split 'validation'"):
        rows_of_tables([("a", first)], split="validation")


def test_rows_are_ranked_over_data_sets_and_seeds(tmp_path):
    runs = work(tmp_path, datasets=("first", "second"), seeds=(0, 1, 2))
    found = rank_blocks([rows_of_runs(runs, name) for name in runs.datasets])
    assert found["blocks"] == 6
    assert found["rows"][0] == "sgm"
    assert found["ranks"][0] == 1.0
    assert sum(found["ranks"]) == pytest.approx(10)
    assert rank_blocks([]) is None
    assert rank_blocks([rows_of_runs(runs, "first", only=["sgm"])]) is None


def test_files_are_written_and_equal_for_equal_inputs(tmp_path):
    runs = work(tmp_path, datasets=("first", "second"))
    tables = [rows_of_runs(runs, name) for name in runs.datasets]
    comparisons = [compare_rows(rows, **FAST) for rows in tables]
    ranking = rank_blocks(tables)
    for folder in ("one", "two"):
        files = write_comparison(tmp_path / folder, comparisons, ranking=ranking, all_pairs=True)
    assert [path.name for path in files] == [
        "comparison.md",
        "comparison.csv",
        "comparison.json",
        "differences_first.png",
        "differences_second.png",
        "critical_difference.png",
    ]
    for path in files:
        assert path.read_bytes() == (tmp_path / "one" / path.name).read_bytes()
    written = json.loads((tmp_path / "one/comparison.json").read_text())
    assert written["ranking"]["blocks"] == 4
    lines = pd.read_csv(tmp_path / "one/comparison.csv")
    assert len(lines) == 8
    assert lines["mse"].notna().all()
    page = (tmp_path / "one/comparison.md").read_text()
    for name in ("differences_first.png", "critical_difference.png"):
        assert name in page


def test_means_over_seeds_are_shown_and_not_tested(tmp_path):
    methods = {"one": {"fusion": noisy(1.0)}, "two": {"fusion": noisy(1.0)}}
    derived = [{"name": f"{name}_mean", "of": name, "ensemble": True} for name in methods]
    write_work(tmp_path, methods, derived=derived, seeds=(0, 1, 2), patients=40)
    found = rows_of_runs(load_runs(tmp_path), "first")
    assert found.means == {"one_mean", "two_mean"}
    comparison = compare_rows(found, baseline="one", **FAST)
    rows = by_name(comparison)
    assert rows["one_mean"]["metrics"]["mse"]["estimate"] < 0.6 * rows["one"]["metrics"]["mse"]["estimate"]
    assert rows["one_mean"]["difference"] is None
    assert rows["one_mean"]["seed_sd"] is None
    assert rows["two"]["difference"] is not None
    assert not any("_mean" in pair["first"] + pair["second"] for pair in comparison["pairs"])
    assert any("hold for these seeds alone: one_mean; two_mean." in sentence for sentence in explain(comparison))
    with pytest.raises(MedmdError, match="mean over seeds"):
        compare_rows(found, baseline="one_mean", **FAST)


def test_a_row_has_title_and_label_of_the_row_that_made_it_and_of_no_pattern_that_fits_its_name(tmp_path):
    methods = {"a": {"fusion": noisy(1.0), "unimodal_oct": noisy(2.0)}, "a_plus": {"fusion": noisy(1.0)}}
    derived = [
        {"name": "a_o*", "of": "a", "column": "unimodal_o*", "label": "peer", "datasets": ["another"]},
        {"name": "a_*", "of": "a", "column": "unimodal_*", "label": "reference", "title": "a modality"},
        {"name": "a_plus_blend", "of": "a_plus", "blend": ["fusion"], "label": "core", "title": "A+, blended"},
    ]
    write_work(tmp_path, methods, derived=derived, labels={"a_plus": "published"})
    found = rows_of_runs(load_runs(tmp_path), "first")
    assert found.labels == {"a": "core", "a_plus": "published", "a_oct": "reference", "a_plus_blend": "core"}
    assert found.titles["a_plus_blend"] == "A+, blended"
    assert found.titles["a_oct"] == "a modality: oct"


def test_a_pattern_in_a_title_takes_the_text_of_the_name_and_a_derived_row_the_label_of_its_run(tmp_path):
    methods = {"a": {"fusion": noisy(1.0), "unimodal_oct": noisy(2.0)}}
    derived = [
        {"name": "head_*", "of": "a", "column": "unimodal_*", "title": "head of * in A"},
        {"name": "own_*", "of": "a", "column": "unimodal_*"},
        {"name": "mean", "of": "a", "ensemble": True},
    ]
    write_work(tmp_path, methods, derived=derived, labels={"a": "published"})
    found = rows_of_runs(load_runs(tmp_path), "first")
    assert (found.titles["head_oct"], found.titles["own_oct"]) == ("head of oct in A", "own_oct")
    assert set(found.labels.values()) == {"published"}


def test_errors_have_the_unit_of_the_target_and_squared_ones_its_square(tmp_path):
    given = replace(rows({"a": 1.0, "b": 1.0}), unit="dB")
    comparison = compare_rows(given, **FAST)
    header, _ = comparison_table(comparison)
    assert header[1:5] == ["MSE, dB² [95 %]", "RMSE, dB", "MAE, dB", "R2"]
    write_work(tmp_path, {"a": {"fusion": noisy(1.0)}})
    assert rows_of_runs(load_runs(tmp_path), "first").unit == ""
    plan = json.loads((tmp_path / "plan.json").read_text())
    plan["datasets"][0]["target"] = {"name": "md", "unit": "dB"}
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    assert rows_of_runs(load_runs(tmp_path), "first").unit == "dB"


def test_rows_with_fewer_seeds_say_on_which_seeds_they_are_compared():
    given = rows({"a": 1.0, "b": 1.1, "c": 1.2})
    told = "compared on the seeds that they share with A"
    assert not any(told in line for line in explain(compare_rows(given, **FAST)))
    table = given.table.copy()
    table.loc[table["seed"] > 0, "c"] = np.nan
    (line,) = (line for line in explain(compare_rows(replace(given, table=table), **FAST)) if told in line)
    assert "patients alone are drawn" in line


def test_with_the_baseline_alone_its_tests_are_those_of_all_pairs():
    given = rows({"a": 1.0, "b": 1.1, "c": 2.0}, patients=6)
    every = by_name(compare_rows(given, baseline="b", **FAST))
    alone = compare_rows(given, baseline="b", all_pairs=False, **FAST)
    assert {(pair["first"], pair["second"]) for pair in alone["pairs"]} == {("a", "b"), ("b", "c")}
    assert alone["best"] is None
    for name in "ac":
        # Six patients and two seeds: all 128 patterns are tried.
        assert by_name(alone)[name]["difference"] == every[name]["difference"]


def test_errors_of_a_millionth_are_no_fault_of_the_arithmetic():
    found = by_name(compare_rows(rows({"a": 1e-6, "b": 1.0}), **FAST))
    assert found["a"]["metrics"]["r2"]["estimate"] == pytest.approx(1.0)


def test_rows_that_were_not_searched_say_so_beside_rows_that_were():
    labels = {"a": "core", "b": "default", "c": "peer"}
    _, cells = comparison_table(compare_rows(rows({"a": 1.0, "b": 1.0, "c": 1.0}, labels=labels), **FAST))
    assert [cell[0] for cell in cells] == ["A", "B (default)", "C (peer)"]
    _, cells = comparison_table(compare_rows(rows({"a": 1.0, "b": 1.0}), **FAST))
    assert [cell[0] for cell in cells] == ["A", "B"]
