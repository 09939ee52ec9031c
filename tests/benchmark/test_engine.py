"""What a plan lacks is run, as a user would train it, and nothing twice."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from benchmark_cohort import METHODS, plan_content, small_plan, write_cohort, write_overlay

from medmd.benchmark import _cohort, _plan_file, load_runs, make_plan, run_plan
from medmd.benchmark._loading import Memory
from medmd.commands.bundle_path import bundle_folder
from medmd.report import read_predictions
from medmd.utils import MedmdError, read_json, write_json

DERIVED = [
    {"name": "alone_*", "of": "remd", "column": "pretrain_*"},
    {"name": "late", "of": "remd", "column": "late_average"},
]
PEERS = [
    {"name": "constant", "peer": "constant", "label": "peer", "seeds": 1},
    {"name": "ridge", "peer": "ridge", "label": "peer", "seeds": 1},
    {"name": "boosting", "peer": "gradient_boosting", "label": "peer", "seeds": 1},
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("benchmark")


@pytest.fixture(scope="module")
def finished(folder):
    plan = small_plan(folder, methods=[*METHODS, *DERIVED, *PEERS])
    return run_plan(plan, folder / "work", jobs=0, tracking=False)


def test_every_planned_run_is_there(finished):
    assert finished.problems == []
    assert list(finished.results["status"]) == ["finished"] * 7
    assert set(finished.predictions("numbers")["row"]) == {
        "uniform_sum", "remd", "alone_left", "alone_right", "late", "constant", "ridge", "boosting",
    }  # fmt: skip


def test_budgets_count_the_steps_of_both_stages(finished):
    steps = finished.results.set_index("method")["steps"]

    assert set(steps[["uniform_sum", "remd"]]) == {4 * 3}
    assert set(finished.results.set_index("method").loc["remd", "steps_pretrain"]) == {3}


def test_a_case_without_a_modality_has_no_prediction_from_it(finished):
    found = finished.predictions("numbers", finite=False)
    alone = found[found["row"] == "alone_right"]
    both = found[found["row"] == "remd"]

    assert alone["prediction"].isna().any()
    assert both["prediction"].notna().all()


def test_the_peers_learn_what_is_there_to_learn(finished):
    found = finished.predictions("numbers")
    error = (found["prediction"] - found["target"]).pow(2).groupby(found["row"]).mean()

    assert error["ridge"] < 0.4 * error["constant"]
    assert error["boosting"] < error["constant"]


def test_the_constant_is_the_mean_of_the_training_targets(folder, finished):
    cases = read_json(folder / "data" / "datalist.json")["training"]
    found = finished.predictions("numbers")

    np.testing.assert_allclose(
        found.loc[found["row"] == "constant", "prediction"], np.mean([case["target"] for case in cases]), rtol=1e-6
    )


def test_a_run_is_the_training_that_a_user_starts(folder, finished):
    overlay = write_overlay(folder)
    files = [str(bundle_folder() / "train.json"), overlay, str(bundle_folder() / "methods" / "sgm.json")]
    options = {
        "dataset_dir": folder / "data", "output_dir": folder / "user", "pretrain_epochs": 1, "train_epochs": 3,
        "seed": 1, "track": False, "threads": 1, "device": "$torch.device('cpu')",
    }  # fmt: skip
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", str(files), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    theirs = read_predictions(folder / "user" / "predictions.csv")
    ours = finished.table("runs/numbers/remd/fold0-seed1")

    assert list(ours.columns) == list(theirs.columns)
    # Ours are predicted in one batch, theirs in several: the last bits differ.
    pd.testing.assert_frame_equal(ours, theirs, rtol=1e-5)


def test_nothing_is_run_twice(folder, finished):
    before = {path: path.stat().st_mtime_ns for path in (folder / "work" / "runs").rglob("*") if path.is_file()}
    run_plan(small_plan(folder, methods=[*METHODS, *DERIVED, *PEERS]), folder / "work", jobs=0, tracking=False)

    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_failing_method_does_not_end_the_benchmark(tmp_path):
    broken = {"name": "broken", "overlays": ["sgm"], "overrides": {"learning_rate": 1e30}}
    late = {"name": "late", "overlays": ["uniform_sum", "no_pretraining"]}
    plan = small_plan(tmp_path, methods=[broken, late], seeds=[3])
    runs = run_plan(plan, tmp_path / "work", jobs=0, tracking=False)
    status = runs.results.set_index("method")["status"].to_dict()

    assert status == {"broken": "failed", "late": "finished"}
    assert "MedmdError: " in runs.problems[0]
    error = read_json(tmp_path / "work/runs/numbers/broken/fold0-seed3/result.json")["error"]
    assert str(tmp_path) not in error["message"]


def test_failed_runs_are_run_again_only_when_asked_for(tmp_path):
    plan = small_plan(tmp_path, methods=METHODS[:1], seeds=[0])
    work = tmp_path / "work"
    run_plan(plan, work, jobs=0, tracking=False)
    path = work / "runs/numbers/uniform_sum/fold0-seed0/result.json"
    good = (path.parent / "predictions.csv").read_bytes()
    write_json(path, {**read_json(path), "status": "failed", "error": {"type": "E", "message": "m"}})
    again = run_plan(plan, work, jobs=0, tracking=False)
    assert again.problems == ["numbers, uniform_sum, fold 0, seed 0: E: m"]
    mended = run_plan(plan, work, jobs=0, tracking=False, retry_failed=True)

    assert mended.problems == []
    assert (path.parent / "predictions.csv").read_bytes() == good


def test_folds_test_every_case_once_and_keep_patients_apart(tmp_path):
    plan = small_plan(tmp_path, dataset={"folds": 3, "complete": True, "epochs": 2}, methods=METHODS[:1], seeds=1)
    runs = run_plan(plan, tmp_path / "work", jobs=0, tracking=False)
    found = runs.predictions("numbers")
    complete = [
        case["case_id"]
        for split in ("training", "validation", "testing")
        for case in read_json(tmp_path / "data" / "datalist.json")[split]
        if case["inputs"]["right"] is not None
    ]

    assert sorted(found["case_id"]) == sorted(complete)
    assert (found.groupby("patient_id")["fold"].nunique() == 1).all()


def of_left_alone():
    pack = {"_target_": "medmd.transforms.PackInputsd", "keys": ["left"], "shapes": {"left": [4]}}
    return {"name": "left", "peer": "ridge", "overrides": {"modalities": ["left"], "preprocessing": [pack]}}


@pytest.mark.parametrize("folds", [None, 3])
def test_complete_leaves_all_methods_the_same_cases_whatever_runs_first(tmp_path, folds):
    """One method takes the left input alone, which no case lacks."""
    both, dataset = {"name": "both", "peer": "ridge"}, {"folds": folds, "complete": True}
    found = []
    for name, methods in (("a", [of_left_alone(), both]), ("b", [both, of_left_alone()])):
        plan = small_plan(tmp_path, dataset=dataset, methods=methods, seeds=1)
        runs = run_plan(plan, tmp_path / name, jobs=0, tracking=False)
        found.append(runs.predictions("numbers").sort_values(["row", "case_id"], ignore_index=True))
    cases = found[0].groupby("row")["case_id"].agg(set)

    pd.testing.assert_frame_equal(found[0], found[1])
    assert cases["left"] == cases["both"]
    document = read_json(tmp_path / "data" / "datalist.json")
    lacking = {case["case_id"] for split in ("training", "validation", "testing") for case in document[split]
               if case["inputs"]["right"] is None}  # fmt: skip
    assert not cases["left"] & lacking
    kept = read_json(tmp_path / "a" / "folds" / "numbers" / "fold0.json")
    assert not {case["case_id"] for case in kept["training"]} & lacking


def test_a_datalist_of_a_fold_with_other_cases_is_made_anew(tmp_path):
    plan = small_plan(tmp_path, dataset={"complete": True}, methods=PEERS[:1], seeds=1)
    path = tmp_path / "work" / "folds" / "numbers" / "fold0.json"
    run_plan(plan, tmp_path / "work", jobs=0, tracking=False)
    right = path.read_bytes()
    write_json(path, {**read_json(path), "training": read_json(path)["training"][:3]})
    more = small_plan(tmp_path, dataset={"complete": True}, methods=PEERS[:2], seeds=1)
    _cohort._HELD.clear()
    run_plan(more, tmp_path / "work", jobs=0, tracking=False)

    assert path.read_bytes() == right


def test_no_case_with_all_inputs_is_told(tmp_path):
    path = write_cohort(tmp_path / "data")
    document = read_json(path)
    for case in document["testing"]:
        case["inputs"]["right"] = None
    write_json(path, document)
    plan = small_plan(tmp_path, dataset={"complete": True}, methods=PEERS[:1])
    runs = run_plan(plan, tmp_path / "work", jobs=0, tracking=False)

    assert "in the list testing, got none. complete keeps cases with left, right." in runs.problems[0]


def test_methods_with_two_stages_share_the_batches_of_both(tmp_path, monkeypatch):
    kept, keep = [], Memory.keep
    monkeypatch.setattr(Memory, "keep", lambda self, *what: kept.append(what[1]) or keep(self, *what))
    dataset = {"name": "phantom", "overlays": ["presets/tiny"], "phantom": {"n": 30, "seed": 1}, "epochs": 3}
    methods = [{"name": name, "overlays": [name]} for name in ("uniform_sum", "sgm")]
    content = {"name": "shared", "seeds": 1, "datasets": [dataset], "methods": methods}
    runs = run_plan(make_plan(content), tmp_path / "work", jobs=0, tracking=False)

    assert runs.problems == []
    # One epoch of stage 1 and two of stage 2, made by the first method.
    assert kept == [1, 1, 2]
    alone = run_plan(make_plan({**content, "limits": {"remember_mib": 0}}), tmp_path / "alone", jobs=0, tracking=False)
    pd.testing.assert_frame_equal(runs.predictions("phantom"), alone.predictions("phantom"))


def test_a_share_of_one_trains_the_single_modalities_alone(tmp_path):
    method = {"name": "alone", "overlays": ["sgm", "contrastive_weight_0"], "stage_one": 1.0, "column": "late_average"}
    runs = run_plan(small_plan(tmp_path, methods=[method], seeds=[0]), tmp_path / "work", jobs=0, tracking=False)
    table = runs.table("runs/numbers/alone/fold0-seed0")

    assert [name for name in table if name.startswith(("fusion", "unimodal"))] == []
    assert {"pretrain_left", "pretrain_right", "late_average"} <= set(table)
    assert list(runs.results["steps_train"]) == [0]


def test_a_part_of_a_plan_can_be_run(tmp_path):
    plan = small_plan(tmp_path, methods=[*METHODS, *DERIVED])
    runs = run_plan(plan, tmp_path / "work", jobs=0, tracking=False, only=["uniform_sum"])

    assert set(runs.results["method"]) == {"uniform_sum"}
    assert runs.problems == ["numbers, remd: 2 of 2 runs are missing."]
    with pytest.raises(MedmdError, match="the plan has no nothing"):
        run_plan(plan, tmp_path / "work", jobs=0, tracking=False, only=["nothing"])


def test_a_folder_takes_more_of_its_plan_but_no_other_one(folder, finished):
    content = plan_content(folder, methods=[*METHODS, *DERIVED, *PEERS])
    work, options = folder / "work", {"jobs": 0, "tracking": False, "only": ["uniform_sum"]}
    for changed, told in [
        ({"methods": [{**METHODS[0], "overrides": {"batch_size": 4}}]}, "methods, uniform_sum: overrides was"),
        ({"seeds": [1]}, r"seeds: \[0\] are no longer there"),
        ({"datasets": [{**content["datasets"][0], "epochs": 5}]}, "datasets, numbers: epochs was 4, is 5"),
    ]:
        with pytest.raises(MedmdError, match=told):
            run_plan(make_plan({**content, **changed}), work, **options)
    more = make_plan(
        {**content, "seeds": 3, "methods": [*content["methods"], {"name": "more", "peer": "tabular_ridge"}]}
    )
    run_plan(more, work, **options)

    assert [each["name"] for each in load_runs(work).plan["methods"]][-1] == "more"


def test_the_folder_of_another_plan_is_not_written_into(tmp_path):
    content = plan_content(tmp_path, methods=PEERS[:1], seeds=1)
    run_plan(make_plan(content), tmp_path / "work", jobs=0, tracking=False)
    phantom = {"name": "phantom", "overlays": ["presets/tiny"], "phantom": {"n": 30, "seed": 1}, "epochs": 2}
    before = sorted((tmp_path / "work").rglob("*"))
    with pytest.raises(MedmdError, match="holds runs of another plan"):
        run_plan(
            make_plan({**content, "name": "other", "datasets": [phantom]}), tmp_path / "work", jobs=0, tracking=False
        )

    assert sorted((tmp_path / "work").rglob("*")) == before


def test_what_has_no_runs_may_still_be_planned_otherwise(tmp_path):
    content = plan_content(tmp_path, methods=[*PEERS[:1], *METHODS])
    other = {**content["datasets"][0], "name": "other"}
    before, after = (
        make_plan({**content, "datasets": [content["datasets"][0], each]}) for each in (other, {**other, "epochs": 7})
    )
    options = {"jobs": 0, "tracking": False, "only": ["numbers", PEERS[0]["name"]]}
    run_plan(before, tmp_path / "work", **options)
    runs = run_plan(after, tmp_path / "work", **options)
    assert runs.plan["datasets"][1]["epochs"] == 7
    assert len(runs.results) == 1


def test_the_plan_in_the_folder_is_a_plan(folder, finished):
    content = read_json(folder / "work" / "plan.json")
    plan = make_plan(content)

    assert content["datasets"][0]["datalist_sha256"]
    header = read_json(folder / "data" / "datalist.json")["target"]
    assert content["datasets"][0]["target"] == {"name": header["name"], "unit": header["unit"]}
    assert load_runs(folder / "work").unit("numbers") == header["unit"]
    assert str(folder / "data") not in (folder / "work" / "plan.json").read_text()
    assert [method.name for method in plan.methods] == [row.name for row in load_runs(folder / "work").rows]
    run_plan(plan, folder / "work", jobs=0, tracking=False, data={"numbers": folder / "data"}, only=["uniform_sum"])


def test_the_target_is_read_once_for_each_datalist(tmp_path, monkeypatch):
    plan, options = small_plan(tmp_path, methods=PEERS[:1]), {"jobs": 0, "tracking": False}
    run_plan(plan, tmp_path / "work", **options)
    monkeypatch.setattr(_plan_file, "load_datalist", lambda path: pytest.fail("read again"))
    assert run_plan(plan, tmp_path / "work", **options).unit("numbers") == "dB"


def test_a_label_that_searches_nothing_may_change_and_core_may_not(tmp_path):
    options = {"jobs": 0, "tracking": False}
    run_plan(small_plan(tmp_path, methods=PEERS[:1]), tmp_path / "work", **options)
    other = small_plan(tmp_path, methods=[{**PEERS[0], "label": "default"}])
    assert run_plan(other, tmp_path / "work", **options).rows[0].label == "default"
    with pytest.raises(MedmdError, match="label was"):
        run_plan(small_plan(tmp_path, methods=[{**PEERS[0], "label": "core"}]), tmp_path / "work", **options)


def test_another_datalist_in_the_same_folder_is_refused(tmp_path):
    plan = small_plan(tmp_path, methods=PEERS[:1])
    run_plan(plan, tmp_path / "work", jobs=0, tracking=False)
    path = tmp_path / "data" / "datalist.json"
    document = read_json(path)
    document["training"][0]["target"] = 1.0
    write_json(path, document)

    with pytest.raises(MedmdError, match="datalist_sha256"):
        run_plan(plan, tmp_path / "work", jobs=0, tracking=False)


def test_a_data_set_that_is_nowhere_is_told(tmp_path):
    plan = small_plan(tmp_path, dataset={"dataset_dir": None})
    with pytest.raises(MedmdError, match="--data numbers=DIR"):
        run_plan(plan, tmp_path / "work", jobs=0, tracking=False)
    with pytest.raises(MedmdError, match="the plan has no data set other"):
        run_plan(plan, tmp_path / "work", jobs=0, tracking=False, data={"other": "x"})
    assert not (tmp_path / "work").exists()


def test_hours_end_the_handing_out(tmp_path, caplog):
    plan = small_plan(tmp_path, methods=PEERS[:1], limits={"hours": 0})
    runs = run_plan(plan, tmp_path / "work", jobs=0, tracking=False)

    assert runs.results.empty
    assert "the hours are over after 0" in caplog.text


def test_a_component_that_cannot_be_built_is_told_by_its_cause(tmp_path):
    broken = {"name": "broken", "overlays": ["sgm"], "overrides": {"learning_rate": -1.0}}
    runs = run_plan(small_plan(tmp_path, methods=[broken], seeds=[0]), tmp_path / "work", jobs=0, tracking=False)

    assert "Invalid learning rate: -1.0" in runs.problems[0]
    assert "_mode_" not in runs.problems[0]
    assert "--debug" not in runs.problems[0]
