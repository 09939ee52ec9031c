from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ignite.engine import Events
from mlflow import MlflowClient

from medmd.data import load_datalist
from medmd.utils import MedmdError, read_json, sha256_file
from medmd.workflows import Predictor, cases_to_predict, user_error

# MLflow 3.17 uses a loader strategy that SQLAlchemy 2.1 has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:.*noload.*loader strategy:DeprecationWarning")
CANARIES = ("mueller-hans", "schmidt-anna", "weber-login")
PREDICTORS = ["fusion", "unimodal_oct", "unimodal_fundus", "pretrain_oct", "pretrain_fundus", "late_average"]
REFERENCES = ["constant", "information", "information_fundus", "information_oct", "label_noise"]


@pytest.fixture(scope="module")
def table(finished):
    return pd.read_csv(finished / "predictions.csv")


@pytest.fixture(scope="module")
def client(finished):
    return MlflowClient(f"sqlite:///{finished / 'mlruns.db'}")


@pytest.fixture(scope="module")
def tracked(client):
    (experiment,) = [found for found in client.search_experiments() if found.name == "remd"]
    (run,) = client.search_runs([experiment.experiment_id])
    return run


def artifacts(client, run_id, path=None):
    for item in client.list_artifacts(run_id, path):
        yield from artifacts(client, run_id, item.path) if item.is_dir else [item.path]


def test_everything_promised_is_in_the_folder(finished):
    for name in (
        "predictions.csv",
        "history.csv",
        "run.json",
        "config.json",
        "datalist_header.json",
        "report/report.html",
        "report/report.md",
        "report/metrics.json",
        "report/figures/scatter.png",
        "model/manifest.json",
        "model/model.safetensors",
        "mlruns.db",
    ):
        assert (finished / name).stat().st_size > 0, name
    assert not list(finished.rglob(".tmp-*"))


def test_the_table_has_a_row_an_eye_and_a_column_a_predictor(table, phantom):
    names = ["case_id", "patient_id", "split", "laterality", "target", *PREDICTORS]
    assert list(table) == names + [f"reference_{name}" for name in REFERENCES]
    splits = load_datalist(phantom / "datalist.json").splits
    for split in ("validation", "testing"):
        rows = table[table["split"] == split]
        assert list(rows["case_id"]) == [case.case_id for case in splits[split]]
        assert list(rows["target"]) == [case.target for case in splits[split]]
        assert list(rows["patient_id"]) == [case.patient_id for case in splits[split]]
    assert len(table) == len(splits["validation"]) + len(splits["testing"])


def test_the_late_average_is_the_mean_of_the_modalities_that_an_eye_has(table, phantom):
    parts = table[["pretrain_oct", "pretrain_fundus"]]
    np.testing.assert_allclose(table["late_average"], np.nanmean(parts, axis=1), rtol=1e-12)
    splits = load_datalist(phantom / "datalist.json").splits
    present = {case.case_id: case.present for cases in splits.values() for case in cases}
    for name in ("oct", "fundus"):
        absent = [name not in present[case] for case in table["case_id"]]
        for column in (f"pretrain_{name}", f"unimodal_{name}"):
            assert table[column].isna().tolist() == absent
    assert table["pretrain_fundus"].isna().any()
    assert table["fusion"].notna().all()


def test_the_constant_is_the_mean_of_the_training_targets(table, phantom):
    training = load_datalist(phantom / "datalist.json").splits["training"]
    np.testing.assert_allclose(table["reference_constant"], np.mean([case.target for case in training]))


def test_the_model_folder_predicts_what_the_run_predicted(finished, table, phantom):
    predictor = Predictor(finished / "model", batch_size=8)
    rows = table[table["split"] == "testing"]
    found = predictor.predict(cases_to_predict(phantom, predictor.inputs))
    assert list(found["case_id"]) == list(rows["case_id"])
    for column, expected in (("md", "fusion"), ("md_oct", "unimodal_oct"), ("md_fundus", "unimodal_fundus")):
        np.testing.assert_allclose(found[column], rows[expected], rtol=0, atol=1e-6)


def test_the_manifest_says_what_the_model_was_trained_on(finished, phantom):
    manifest = read_json(finished / "model" / "manifest.json")
    assert manifest["inputs"] == {"oct": "volume", "fundus": "image"}
    assert manifest["target"] == {"name": "md", "unit": "dB", "range": [-40.0, 6.0]}
    assert manifest["trained_on"]["datalist_sha256"] == sha256_file(phantom / "datalist.json")


def test_the_history_holds_both_stages(finished):
    history = pd.read_csv(finished / "history.csv")
    names = {stage: set(rows["name"]) for stage, rows in history.groupby("stage")}
    assert {"oct/margin", "oct/contrastive", "fundus/regression", "val_oct_mse"} <= names["pretrain"]
    assert {"loss", "gamma", "sharpness", "cosine", "conflict", "val_fusion_mse"} <= names["train"]


def test_one_run_is_finished_and_holds_both_stages(client, tracked):
    assert tracked.info.status == "FINISHED"
    metrics = set(tracked.data.metrics)
    assert {f"train/{name}" for name in ("loss", "gamma", "sharpness", "cosine", "conflict")} <= metrics
    assert {"pretrain/oct/margin", "pretrain/fundus/loss", "pretrain/val_oct_mae", "train/val_fusion_mse"} <= metrics
    curve = client.get_metric_history(tracked.info.run_id, "pretrain/oct/margin")
    assert [point.step for point in curve] == list(range(1, len(curve) + 1))


def test_the_final_numbers_are_those_of_the_report(finished, tracked):
    overall = read_json(finished / "report" / "metrics.json")["overall"]
    for predictor in [*PREDICTORS, "reference_constant"]:
        for name in ("r2", "rmse", "mae"):
            assert tracked.data.metrics[f"test/{predictor}_{name}"] == overall[predictor][name]["estimate"]


def test_parameters_and_tags_say_with_what_it_was_made(finished, phantom, tracked):
    assert tracked.data.params["seed"] == "0"
    assert tracked.data.params["pretrain_epochs"] == "2"
    assert tracked.data.params["balancer._target_"] == "medmd.balancing.SGM"
    assert not [name for name in tracked.data.params if name.startswith("_")]
    tags = tracked.data.tags
    assert tags["datalist_sha256"] == sha256_file(phantom / "datalist.json")
    assert {"git_revision", "torch", "monai", "python"} <= set(tags)


def test_the_artifacts_are_complete_and_the_configuration_can_be_run_again(client, tracked, finished):
    found = set(artifacts(client, tracked.info.run_id))
    assert {
        "config.json",
        "run.json",
        "predictions.csv",
        "history.csv",
        "report/report.html",
        "report/figures/scatter.png",
        "model/model.safetensors",
    } <= found
    for stage in ("pretrain", "train"):
        assert [name for name in found if name.startswith(f"checkpoints/{stage}/checkpoint-")]
    config = read_json(client.download_artifacts(tracked.info.run_id, "config.json"))
    own = read_json(finished / "config.json")
    assert "_meta_" not in config
    assert {name for name in config if config[name] != own[name]} == {
        "bundle_root",
        "output_dir",
        "dataset_dir",
        "phantom_dir",
    }


def test_nothing_tracked_names_a_folder_or_a_person(client, tracked, tmp_path):
    data = tracked.data
    said = repr((data.tags, data.params, sorted(data.metrics), tracked.info.run_name, tracked.info.user_id))
    for canary in CANARIES:
        assert canary not in said
    for name in artifacts(client, tracked.info.run_id):
        content = Path(client.download_artifacts(tracked.info.run_id, name, str(tmp_path))).read_bytes()
        for canary in CANARIES:
            assert canary.encode() not in content, name
            assert canary not in name


def snapshot(folder):
    """Content of every file, the tracking store aside, which counts its runs."""
    files = [path for path in folder.rglob("*") if path.is_file() and "mlruns" not in str(path.relative_to(folder))]
    return {str(path.relative_to(folder)): sha256_file(path) for path in files}


def test_a_finished_run_that_is_started_again_only_reports(flow, finished):
    before = snapshot(finished)
    flow(finished, track=False).run()
    assert snapshot(finished) == before


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"batch_size": 4}, r"batch_size \(8 -> 4\)"),
        ({"network#encoders#oct#depth": 18}, r"network#encoders#oct#depth \(10 -> 18\)"),
        ({"resume": "maybe"}, "resume: no such way"),
        ({"train_epoch": 1}, "Did you mean train_epochs"),
        ({"stages": ["fuse"]}, "stages: no such stages"),
    ],
)
def test_another_run_is_refused_and_nothing_is_touched(flow, finished, settings, named):
    before = snapshot(finished)
    with pytest.raises(RuntimeError) as caught:
        flow(finished, **settings)
    error = user_error(caught.value)
    assert error is not None
    assert len(str(error).splitlines()) == 1
    with pytest.raises(MedmdError, match=named):
        raise error
    assert snapshot(finished) == before


def test_a_crash_ends_as_failed(flow, tmp_path):
    workflow = flow(tmp_path / "run", run_name="crash", stages=["train"], log_every=1)
    trainer = workflow.parser.get_parsed_content("train#trainer")

    def crash(_):
        raise RuntimeError("out of memory")

    trainer.add_event_handler(Events.ITERATION_COMPLETED(once=2), crash)
    with pytest.raises(RuntimeError):
        workflow.run()
    client = MlflowClient(f"sqlite:///{tmp_path / 'run' / 'mlruns.db'}")
    (run,) = client.search_runs([found.experiment_id for found in client.search_experiments()])
    assert (run.info.status, run.info.run_name) == ("FAILED", "crash")
    assert "train/loss" in run.data.metrics
