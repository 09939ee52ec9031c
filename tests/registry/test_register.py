import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from medmd.data import load_items
from medmd.registry import register_run
from medmd.utils import MedmdError, read_json, sha256_file, write_json
from medmd.workflows import Predictor

# MLflow 3.17 uses what SQLAlchemy 2.1 and pandas 3 will drop, and warns of it.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*noload.*loader strategy:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Operation with range is deprecated"),
]
CANARIES = ("mueller-hans", "weber-login")


@pytest.fixture(scope="module")
def run(untrained_run, tmp_path_factory):
    """A finished run in a folder named after somebody, with a measured result."""
    folder = tmp_path_factory.mktemp(CANARIES[0]) / "run"
    shutil.copytree(untrained_run, folder)
    overall = {"fusion": {"mae": {"estimate": 1.25}, "rmse": {"estimate": 2.5}, "r2": {"estimate": None}}}
    write_json(folder / "report" / "metrics.json", {"overall": overall})
    return folder


@pytest.fixture(scope="module")
def registered(run):
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.delenv("MLFLOW_RUN_CONTEXT", raising=False)
        for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
            patch.setenv(name, CANARIES[1])
        done = register_run(run, name="remd", alias="challenger")
        # What MLflow's fluent calls need was set for them and put back.
        assert "MLFLOW_RUN_CONTEXT" not in os.environ
        assert "MLFLOW_TRACKING_URI" not in os.environ
    return done


@pytest.fixture(scope="module")
def client(registered):
    return MlflowClient(registered.store)


@pytest.fixture(scope="module")
def model(registered):
    import mlflow

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
        before = mlflow.get_tracking_uri()
        mlflow.set_tracking_uri(registered.store)
        try:
            yield mlflow.pyfunc.load_model(registered.uri)
        finally:
            mlflow.set_tracking_uri(before)
            os.environ.pop("MLFLOW_TRACKING_URI", None)


@pytest.fixture
def items(make_datalist):
    return load_items(make_datalist(missing={0: "fundus", 2: "oct"}), "training")


def request_of(items):
    return pd.DataFrame(
        [
            {
                "oct": Path(item["oct"]).read_bytes() if "oct" in item else None,
                "fundus": Path(item["fundus"]).read_bytes() if "fundus" in item else None,
                "laterality": item["laterality"],
                "case_id": item["case_id"],
            }
            for item in items
        ]
    )


def test_version_alias_and_address(registered, client):
    assert (registered.name, registered.version, registered.alias) == ("remd", "1", "challenger")
    assert registered.uri == "models:/remd@challenger"
    assert str(client.get_model_version_by_alias("remd", "challenger").version) == "1"


def test_it_predicts_from_bytes_what_the_model_folder_predicts_from_files(model, run, items):
    found = model.predict(request_of(items))
    expected = Predictor(run / "model").predict(items)
    assert list(found) == ["case_id", "md", "md_oct", "md_fundus"]
    assert list(found["case_id"]) == list(expected["case_id"])
    numbers = ["md", "md_oct", "md_fundus"]
    np.testing.assert_allclose(found[numbers].astype(float), expected[numbers], rtol=0, atol=1e-4)
    assert found["md_fundus"].isna().tolist() == [True] + [False] * 7
    assert math.isnan(found["md_oct"][2])


def test_a_column_that_is_not_there_is_a_modality_that_all_lack(model, items):
    both = request_of(items[3:5])
    found = model.predict(both.drop(columns=["fundus", "case_id"]))
    assert list(found["case_id"]) == ["row-0", "row-1"]
    assert found["md_fundus"].isna().all()
    np.testing.assert_allclose(found["md_oct"], model.predict(both)["md_oct"], atol=1e-6)


@pytest.mark.parametrize("gap", [None, float("nan"), pd.NA])
def test_without_laterality_the_case_is_named(model, items, gap):
    rows = request_of(items[3:5]).astype({"laterality": object, "case_id": object})
    rows.loc[1, "laterality"] = gap
    with pytest.raises(MedmdError, match=f"(?s){items[4]['case_id']}.*laterality.*None"):
        model.unwrap_python_model().predict(None, rows)


def test_rows_without_names_are_numbered(model, items):
    rows = request_of(items[3:5]).astype({"case_id": object})
    rows.loc[0, "case_id"] = float("nan")
    found = model.unwrap_python_model().predict(None, rows)
    assert list(found["case_id"]) == ["row-0", items[4]["case_id"]]


def test_what_is_no_file_is_refused(model, items):
    rows = request_of(items[3:4]).astype({"oct": object})
    rows.loc[0, "oct"] = "/etc/passwd"
    with pytest.raises(MedmdError, match="oct: expected the content of a file as bytes, got str"):
        model.unwrap_python_model().predict(None, rows)


def test_nothing_is_left_on_disk(model, items, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    model.predict(request_of(items))
    assert list((tmp_path / "scratch").iterdir()) == []


def test_the_signature_lets_any_modality_be_missing(model):
    inputs = {column.name: (str(column.type), column.required) for column in model.metadata.signature.inputs}
    assert inputs == {
        "oct": ("DataType.binary", False),
        "fundus": ("DataType.binary", False),
        "laterality": ("DataType.string", False),
        "case_id": ("DataType.string", False),
    }
    assert [column.name for column in model.metadata.signature.outputs] == ["case_id", "md", "md_oct", "md_fundus"]


def test_the_example_can_be_predicted(model):
    found = model.predict(model.input_example)
    assert list(found["case_id"]) == ["example"]
    assert np.isfinite(found["md"].astype(float)).all()


def test_description_and_tags_say_what_it_is(client, run):
    version = client.get_model_version("remd", "1")
    assert "md (dB) from oct, fundus" in version.description
    assert "mae 1.250, rmse 2.500" in version.description
    assert "r2" not in version.description
    assert "Not a medical device" in version.description
    assert version.tags["weights_sha256"] == sha256_file(run / "model" / "model.safetensors")


def files_of(registered, tmp_path):
    import mlflow

    folder = mlflow.artifacts.download_artifacts(registered.uri, dst_path=str(tmp_path), tracking_uri=registered.store)
    return Path(folder)


def test_the_files_are_code_and_plain_data_and_name_nobody(registered, client, tmp_path):
    folder = files_of(registered, tmp_path)
    suffixes = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert not suffixes & {".pkl", ".pickle", ".pt", ".pth", ".bin", ".pyc"}
    for path in folder.rglob("*"):
        assert not any(canary in path.name for canary in CANARIES)
        if path.is_file():
            content = path.read_bytes()
            assert not [canary for canary in CANARIES if canary.encode() in content], path.relative_to(folder)
    requirements = (folder / "requirements.txt").read_text().split()
    assert all("==" in line and "+" not in line for line in requirements)
    assert {"monai", "torch", "mlflow", "safetensors"} <= {line.split("==")[0] for line in requirements}
    run = client.get_run(client.get_model_version("remd", "1").run_id)
    said = repr((run.data.tags, run.data.params, run.info.user_id))
    assert not [canary for canary in CANARIES if canary in said]


ALONE = """
import sys, warnings
warnings.simplefilter("ignore")
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in getattr(finder, "__module__", str(finder))
                 and "editable" not in repr(finder)]
sys.path_hooks = [hook for hook in sys.path_hooks if "editable" not in repr(hook)]
sys.path = [entry for entry in sys.path if "editable" not in entry and entry != sys.argv[2]]
try:
    import medmd
except ModuleNotFoundError:
    pass
else:
    sys.exit("medmd is importable: " + medmd.__file__)
import mlflow
model = mlflow.pyfunc.load_model(sys.argv[1])
import medmd
assert medmd.__file__.startswith(sys.argv[1]), medmd.__file__
print(float(model.predict(model.input_example)["md"].iloc[0]))
"""


def test_it_loads_where_medmd_is_not_installed(registered, model, tmp_path):
    folder = files_of(registered, tmp_path)
    repository = str(Path(__file__).parents[2])
    environment = os.environ | {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-I", "-c", ALONE, str(folder), repository],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert float(done.stdout.split()[-1]) == pytest.approx(float(model.predict(model.input_example)["md"][0]), abs=1e-5)


def test_the_next_version_takes_over_the_alias(registered, run, client, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    plain = register_run(run, name="other")
    assert (plain.version, plain.alias, plain.uri) == ("1", None, "models:/other/1")
    again = register_run(run, name="other", alias="champion")
    assert str(client.get_model_version_by_alias("other", "champion").version) == again.version == "2"


def test_the_users_settings_are_put_back(run, monkeypatch):
    import mlflow

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_RUN_CONTEXT", '{"team": "x"}')
    before = mlflow.get_tracking_uri()
    register_run(run, name="third")
    assert os.environ["MLFLOW_RUN_CONTEXT"] == '{"team": "x"}'
    assert mlflow.get_tracking_uri() == before


def test_an_unfinished_run_is_refused_and_untouched(tmp_path):
    with pytest.raises(MedmdError, match=r"no finished run here \(model/manifest.json is absent\)"):
        register_run(tmp_path, name="remd")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_model_is_refused_before_it_is_registered(run, tmp_path):
    shutil.copytree(run / "model", tmp_path / "run" / "model")
    (tmp_path / "run" / "model" / "network.json").write_text("{}")
    with pytest.raises(MedmdError, match=r"network\.json differs"):
        register_run(tmp_path / "run", name="remd")
    assert not (tmp_path / "run" / "mlruns.db").exists()


def test_the_run_of_the_training_is_used(untrained_run, tmp_path, monkeypatch):
    from medmd.handlers import MLflowRun

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copytree(untrained_run, tmp_path / "run")
    tracker = MLflowRun(folder=tmp_path / "run", name="training")
    tracker.start(parameters={}, tags={})
    tracker.finish("FINISHED")
    done = register_run(tmp_path / "run", name="remd")
    version = tracker.client.get_model_version("remd", done.version)
    assert version.run_id == read_json(tmp_path / "run" / "mlflow_run.json")["run_id"]
    assert tracker.client.get_run(version.run_id).info.status == "FINISHED"


def test_what_is_registered_lies_in_the_runs_folder_wherever_it_was_called_from(registered, client):
    # The run was not tracked: MLflow's own default would be ./mlruns of the working directory.
    source = client.get_model_version("remd", "1").source
    location = client.get_logged_model(source.removeprefix("models:/")).artifact_location
    folder = Path(registered.store.removeprefix("sqlite:///")).parent
    assert location.startswith((folder / "mlruns").as_uri())
    assert (folder / "mlruns" / "models").is_dir()
