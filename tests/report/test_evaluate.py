import json

import numpy as np
import pytest
from sklearn import metrics as oracle

from medmd.metrics import clustered_bootstrap, paired_difference
from medmd.report import evaluate_predictions
from medmd.utils import MedmdError

FAST = {"replicates": 60}


def split_of(table, name="testing"):
    return table[table["split"] == name].reset_index(drop=True)


def test_numbers_are_those_of_scikit_learn_on_the_whole_split(table):
    found = evaluate_predictions(table, **FAST)
    rows = split_of(table)
    for name in ("pretrain_oct", "pretrain_fundus", "fusion", "reference_label_noise"):
        known = rows.dropna(subset=[name])
        entry = found["overall"][name]
        assert entry["r2"]["estimate"] == pytest.approx(oracle.r2_score(known["target"], known[name]))
        assert entry["mae"]["estimate"] == pytest.approx(oracle.mean_absolute_error(known["target"], known[name]))
        assert entry["n"] == len(known)
        assert entry["n"] + entry["dropped"] == len(rows)
    assert found["overall"]["pretrain_fundus"]["dropped"] > 0
    assert found["target"]["variance"] == pytest.approx(np.var(rows["target"]))
    assert found["target"]["patients"] == rows["patient_id"].nunique()


def test_identity_of_mse_and_r2_holds_in_every_complete_row(table):
    found = evaluate_predictions(table, **FAST)
    for entry in found["overall"].values():
        if not entry["dropped"]:
            implied = entry["mse"]["estimate"] / (1 - entry["r2"]["estimate"])
            assert implied == pytest.approx(found["target"]["variance"], rel=1e-9)


def test_intervals_are_those_of_the_bootstrap_by_patient(table):
    found = evaluate_predictions(table, **FAST)
    rows, about = split_of(table), found["bootstrap"]
    options = {"seed": about["seed"], "replicates": about["replicates"]}
    predictions = {name: rows[name] for name in found["predictors"]}
    expected = clustered_bootstrap(rows["target"], predictions, rows["patient_id"], **options)
    got = found["overall"]["fusion"]["r2"]
    assert (got["low"], got["high"]) == pytest.approx(expected["fusion"]["r2"][1:3])
    difference = paired_difference(rows["target"], predictions, rows["patient_id"], baseline="fusion", **options)
    assert found["differences"]["baseline"] == "fusion"
    got = found["differences"]["of"]["late_average"]["mae"]
    assert got["estimate"] == pytest.approx(difference["late_average"]["mae"].estimate)
    assert got["p_value"] == pytest.approx(difference["late_average"]["mae"].p_value)


def test_strata_are_by_the_target_and_add_up(table):
    found = evaluate_predictions(table, **FAST)
    rows = split_of(table)
    assert found["stratified_by"] == "severity"
    assert sum(stratum["n"] for stratum in found["severity"]) == len(rows)
    worst = rows[rows["target"] < -12]
    got = found["severity"][2]["metrics"]["fusion"]
    assert got["mae"]["estimate"] == pytest.approx(np.mean(np.abs(worst["fusion"] - worst["target"])))
    assert [side["laterality"] for side in found["laterality"]] == ["R", "L"]
    right = rows[rows["laterality"] == "R"]
    got = found["laterality"][0]["metrics"]["fusion"]["r2"]["estimate"]
    assert got == pytest.approx(oracle.r2_score(right["target"], right["fusion"]))


def test_constant_predictor_comes_from_training_only(table):
    rows = split_of(table)
    mean = split_of(table, "training")["target"].mean()
    entry = evaluate_predictions(table, **FAST)["overall"]["reference_constant"]
    assert entry["mae"]["estimate"] == pytest.approx(np.mean(np.abs(rows["target"] - mean)))
    assert entry["pearson"]["estimate"] is None
    assert entry["undefined"]["pearson"] == "the prediction is constant"
    # No training rows: no constant, rather than one made from the split's own targets.
    assert "reference_constant" not in evaluate_predictions(rows, **FAST)["overall"]
    given = evaluate_predictions(rows, constant=-5.0, **FAST)["overall"]["reference_constant"]
    assert given["mae"]["estimate"] == pytest.approx(np.mean(np.abs(rows["target"] + 5)))
    own = evaluate_predictions(rows.assign(reference_constant=0.0), constant=-5.0, **FAST)
    assert own["overall"]["reference_constant"]["bias"]["estimate"] == pytest.approx(-rows["target"].mean())


@pytest.mark.parametrize(("share", "defined"), [(0.0, False), (0.009, False), (0.011, True)])
def test_calibration_needs_predictions_that_spread(table, share, defined):
    rows = split_of(table)
    entry = evaluate_predictions(rows.assign(fusion=-5 + share * rows["target"]), **FAST)["overall"]["fusion"]
    if defined:
        assert entry["calibration"]["slope"] == pytest.approx(1 / share)
        assert entry["calibration"]["intercept"] == pytest.approx(5 / share)
        assert "calibration" not in entry["undefined"]
    else:
        assert entry["calibration"] == {"slope": None, "intercept": None}
        assert entry["undefined"]["calibration"] == "the prediction's SD is below 1 % of the target's"


def test_is_json_and_repeats_bit_for_bit(table):
    first = json.dumps(evaluate_predictions(table, **FAST), allow_nan=False)
    assert first == json.dumps(evaluate_predictions(table, **FAST), allow_nan=False)
    assert first != json.dumps(evaluate_predictions(table, seed=1, **FAST), allow_nan=False)


def test_order_of_rows_does_not_matter(table):
    first = evaluate_predictions(table, **FAST)["overall"]["fusion"]
    second = evaluate_predictions(table.sample(frac=1, random_state=0), **FAST)["overall"]["fusion"]
    assert second["r2"] == pytest.approx(first["r2"])


def test_another_target_is_stratified_by_quantiles_without_the_challenge_score(table):
    found = evaluate_predictions(table, target_name="age", unit="years", **FAST)
    assert found["stratified_by"] == "quantile"
    assert "stage_score" not in found["overall"]["fusion"]
    assert "stage_score" in evaluate_predictions(table, **FAST)["overall"]["fusion"]


def test_choice_of_columns_and_baseline(table):
    found = evaluate_predictions(
        table, predictors=["late_average", "pretrain_oct"], references=[], baseline="pretrain_oct", **FAST
    )
    assert found["predictors"] == ["pretrain_oct", "late_average"]
    assert list(found["differences"]["of"]) == ["late_average"]
    only = evaluate_predictions(table, predictors=["late_average"], references=[], **FAST)
    assert only["differences"] == {"baseline": "late_average", "of": {}}


def test_missing_targets_and_shared_patients_are_noted(table):
    table = table.copy()
    first = table.index[table["split"] == "testing"][0]
    table.loc[first, "target"] = np.nan
    table.loc[first, "patient_id"] = table.loc[table["split"] == "training", "patient_id"].iloc[0]
    notes = evaluate_predictions(table, **FAST)["notes"]
    assert notes[0].startswith("1 of 60 cases have no target")
    assert notes[1].startswith("1 patients of this split stand in another split too")


def test_few_patients_are_noted(table):
    rows = split_of(table)
    few = rows[rows["patient_id"].isin(rows["patient_id"].unique()[:19])]
    assert evaluate_predictions(few, **FAST)["notes"] == [
        "19 patients only: bootstrap intervals from fewer than 20 are too narrow."
    ]
    assert evaluate_predictions(rows, **FAST)["notes"] == []


def test_one_case_is_undefined_not_zero(table):
    one = split_of(table).iloc[:1].drop(columns="laterality")
    found = evaluate_predictions(one, **FAST)
    entry = found["overall"]["fusion"]
    assert entry["r2"] == {"estimate": None, "low": None, "high": None}
    assert entry["undefined"]["r2"] == "there is one case only"
    assert entry["mae"]["estimate"] > 0
    assert entry["mae"]["low"] is None
    assert found["laterality"] == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"split": "test"}, "no case in split 'test'. Found: testing, training, validation"),
        ({"predictors": ["fuse"]}, "no column fuse. Found: pretrain_oct"),
        ({"references": ["reference_x"]}, "no column reference_x"),
        ({"baseline": "x"}, "baseline 'x' is not a predictor"),
    ],
)
def test_wrong_names_are_answered_with_the_right_ones(table, options, words):
    with pytest.raises(MedmdError, match=words):
        evaluate_predictions(table, **options, **FAST)


def test_a_split_without_targets_is_refused(table):
    with pytest.raises(MedmdError, match="none of the 60 cases in split 'testing' has a target"):
        evaluate_predictions(table.assign(target=np.nan), **FAST)
