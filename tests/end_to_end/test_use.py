"""What is done with a finished run: inference and evaluation by configuration, registration, one modality."""

import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from monai.bundle import ConfigWorkflow

from medmd.data import load_items
from medmd.registry import register_run
from medmd.utils import read_json

BUNDLE = Path(__file__).parents[2] / "bundles" / "remd"
# MLflow 3.17 uses what SQLAlchemy 2.1 and pandas 3 will drop, and warns of it.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*noload.*loader strategy:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Operation with range is deprecated"),
]


@pytest.fixture(scope="module")
def fusion(finished):
    table = pd.read_csv(finished / "predictions.csv")
    return table[table["split"] == "testing"].set_index("case_id")["fusion"]


def run(name, **settings):
    workflow = ConfigWorkflow(
        config_file=str(BUNDLE / f"{name}.json"),
        meta_file=str(BUNDLE / "metadata.json"),
        logging_file=False,
        device="cpu",
        **settings,
    )
    workflow.initialize()
    workflow.run()
    workflow.finalize()


def test_inference_predicts_what_the_run_predicted(finished, fusion, phantom, tmp_path):
    run("inference", model_dir=str(finished / "model"), dataset_dir=str(phantom), output_file=str(tmp_path / "p.csv"))
    table = pd.read_csv(tmp_path / "p.csv").set_index("case_id")
    assert list(table) == ["md", "md_oct", "md_fundus"]
    assert list(table.index) == list(fusion.index)
    np.testing.assert_allclose(table["md"], fusion, rtol=0, atol=1e-6)


def test_inference_of_a_folder_of_files(finished, phantom, fusion, tmp_path):
    items = [item for item in load_items(phantom / "datalist.json", "testing") if "fundus" in item][:2]
    (tmp_path / "eyes").mkdir()
    for item in items:
        name = f"{item['case_id']}-{item['laterality']}"
        shutil.copy(item["oct"], tmp_path / "eyes" / f"{name}_oct.nii.gz")
        shutil.copy(item["fundus"], tmp_path / "eyes" / f"{name}_fundus.png")
    out = tmp_path / "p.csv"
    run("inference", model_dir=str(finished / "model"), dataset_dir=str(tmp_path / "eyes"), output_file=str(out))
    table = pd.read_csv(out).set_index("case_id")["md"]
    assert len(table) == 2
    for item in items:
        assert table[f"{item['case_id']}-{item['laterality']}"] == pytest.approx(fusion[item["case_id"]], abs=1e-5)


def test_evaluation_gives_the_numbers_of_the_run(finished, fusion, phantom, tmp_path):
    folder = tmp_path / "evaluation"
    run("evaluate", model_dir=str(finished / "model"), dataset_dir=str(phantom), output_dir=str(folder))
    table = pd.read_csv(folder / "predictions.csv").set_index("case_id")
    np.testing.assert_allclose(table["fusion"], fusion, rtol=0, atol=1e-6)
    found, expected = (read_json(place / "report" / "metrics.json")["overall"] for place in (folder, finished))
    for name in ("fusion", "unimodal_oct", "reference_label_noise"):
        assert found[name]["mae"]["estimate"] == pytest.approx(expected[name]["mae"]["estimate"], abs=1e-6)


def test_a_registered_run_predicts_from_bytes_what_the_run_predicted(finished, fusion, phantom, monkeypatch):
    import mlflow

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    monkeypatch.setenv("USER", "weber-login")
    done = register_run(finished, name="remd", alias="challenger")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(done.store)
    try:
        model = mlflow.pyfunc.load_model("models:/remd@challenger")
        version = mlflow.MlflowClient().get_model_version("remd", done.version)
        tags = mlflow.MlflowClient().get_run(version.run_id).data.tags
    finally:
        mlflow.set_tracking_uri(before)
        os.environ.pop("MLFLOW_TRACKING_URI", None)
    items = load_items(phantom / "datalist.json", "testing")
    rows = [
        {"case_id": item["case_id"], "laterality": item["laterality"]}
        | {name: Path(item[name]).read_bytes() if name in item else None for name in ("oct", "fundus")}
        for item in items
    ]
    found = model.predict(pd.DataFrame(rows))
    assert any(row["fundus"] is None for row in rows)
    np.testing.assert_allclose(found["md"].astype(float), fusion[found["case_id"]], rtol=0, atol=1e-4)
    assert version.run_id == read_json(finished / "mlflow_run.json")["run_id"]
    assert version.tags["datalist_sha256"] == tags["datalist_sha256"]
    assert "weber-login" not in repr(tags)


@pytest.mark.parametrize(("only", "other"), [("oct", "fundus"), ("fundus", "oct")])
def test_one_modality_alone(flow, tmp_path, only, other):
    stages = ["pretrain", "train", "evaluate"]
    flow(
        tmp_path / "run", f"presets/{only}_only.json", track=False, pretrain_epochs=1, train_epochs=1, stages=stages
    ).run()
    table = pd.read_csv(tmp_path / "run" / "predictions.csv")
    assert {"fusion", f"unimodal_{only}", f"pretrain_{only}"} <= set(table)
    assert not {f"unimodal_{other}", "late_average"} & set(table)
    assert table["fusion"].notna().all()
    assert other not in (tmp_path / "run" / "model" / "preprocessing.json").read_text()
    assert read_json(tmp_path / "run" / "model" / "manifest.json")["inputs"].keys() == {only}
