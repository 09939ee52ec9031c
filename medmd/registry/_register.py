"""From a finished run to a version in MLflow's model registry."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import medmd
from medmd.handlers import NEUTRAL_TAGS, MLflowRun, silence_telemetry
from medmd.utils import MedmdError, read_json, write_atomic
from medmd.workflows import load_model_folder

_REQUIREMENTS = (
    "mlflow", "monai", "torch", "pytorch-ignite", "numpy", "scipy", "pandas", "nibabel", "scikit-image", "pillow",
    "safetensors", "tqdm", "jsonschema",
)  # fmt: skip
_COLUMN_TYPES = {"volume": "binary", "image": "binary"}


@dataclass(frozen=True)
class Registered:
    """What `register_run` made.

    Attributes:
        name: of the registered model.
        version: number of this version, as text.
        alias: the alias that was set, or `None`.
        uri: to load it with `mlflow.pyfunc.load_model`.
        store: tracking address to set before loading.
    """

    name: str
    version: str
    alias: str | None
    uri: str
    store: str


def register_run(run_dir: str | Path, *, name: str, alias: str | None = None) -> Registered:
    """Register the model of a finished run, with signature, input example and pinned requirements.

    The version consists of this package's source, a model folder (JSON and safetensors) and MLflow's description; it
    loads with pickle disallowed. It goes to the store of the run: the one named by `MLFLOW_TRACKING_URI`, else the
    SQLite file in the run's folder.

    Args:
        run_dir: a run's `output_dir`.
        name: of the registered model; made when absent.
        alias: moved to this version, for example `challenger`.

    Raises:
        MedmdError: the folder holds no finished run, or its model is damaged; nothing was registered then.
    """
    folder = Path(run_dir)
    model = folder / "model"
    if not (model / "manifest.json").is_file():
        msg = f"{folder}: no finished run here (model/manifest.json is absent). Let the training end first."
        raise MedmdError(msg)
    manifest = load_model_folder(model).manifest
    tracker = MLflowRun(folder=folder)
    with tracker.speaking(), _store(tracker.uri), warnings.catch_warnings():
        # MLflow's own: of what pandas and SQLAlchemy will drop. Nobody here could heed them.
        warnings.simplefilter("ignore")
        version = _log(tracker, folder, manifest, name)
    with tracker.speaking():
        _describe(tracker, folder, manifest, name, version)
        if alias is not None:
            tracker.client.set_registered_model_alias(name, alias, version)
    uri = f"models:/{name}@{alias}" if alias else f"models:/{name}/{version}"
    return Registered(name=name, version=version, alias=alias, uri=uri, store=tracker.uri)


@contextmanager
def _store(uri: str) -> Iterator[None]:
    """MLflow's own calls go to this store and tag nothing with a login or a path; all settings are put back."""
    silence_telemetry()
    import mlflow

    before, names = mlflow.get_tracking_uri(), ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_CONTEXT")
    variables = {name: os.environ.get(name) for name in names}
    # The only tags that override those which MLflow finds out about the user and the program.
    os.environ["MLFLOW_RUN_CONTEXT"] = json.dumps(NEUTRAL_TAGS)
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)
        for name, value in variables.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _log(tracker: MLflowRun, folder: Path, manifest: dict[str, Any], name: str) -> str:
    import mlflow

    from medmd.registry._example import input_example

    run_id = tracker.known_run()
    # Without a run in this store the version gets one in the same experiment, whose artifacts have their place.
    experiment = tracker.experiment_id()
    lengths = _vector_lengths(folder, manifest)
    with tempfile.TemporaryDirectory(prefix="medmd-") as staging:
        stage = Path(staging)
        shutil.copytree(folder / "model", stage / "model")
        source = Path(medmd.__file__).parent
        shutil.copytree(source, stage / "medmd", ignore=shutil.ignore_patterns("__pycache__"))
        with mlflow.start_run(run_id=run_id, experiment_id=None if run_id else experiment):
            info = mlflow.pyfunc.log_model(
                name="model",
                python_model=str(stage / "medmd" / "registry" / "_pyfunc.py"),
                artifacts={"model": str(stage / "model")},
                code_paths=[str(stage / "medmd")],
                signature=_signature(manifest),
                input_example=input_example(manifest["inputs"], lengths),
                pip_requirements=[f"{package}=={_release(package)}" for package in _REQUIREMENTS],
                registered_model_name=name,
            )
        _forget_places(tracker, info.model_id, stage)
    return str(info.registered_model_version)


def _forget_places(tracker: MLflowRun, model_id: str, stage: Path) -> None:
    """Take this machine's paths out of the version's description; MLflow writes them there and never reads them."""
    import mlflow

    folders = [stage, stage.resolve(), *([tracker.folder.resolve()] if tracker.is_local else [])]
    location = tracker.client.get_logged_model(model_id).artifact_location
    got = Path(mlflow.artifacts.download_artifacts(f"{location}/MLmodel", dst_path=str(stage)))
    text = got.read_text(encoding="utf-8")
    for folder in folders:
        text = text.replace(folder.as_uri(), ".").replace(str(folder), ".")
    write_atomic(stage / "MLmodel", text)
    tracker.client.log_model_artifact(model_id, str(stage / "MLmodel"))


def _signature(manifest: dict[str, Any]) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import Array

    inputs, target = manifest["inputs"], manifest["target"]["name"]
    if manifest["target"].get("kind") == "multi":
        msg = f"{target}: a model of several tasks cannot be registered; predict with its folder (`medmd predict`)."
        raise MedmdError(msg)
    classes = len(manifest["target"].get("classes", ()))
    columns = [
        # Any modality may be missing as long as another is there.
        ColSpec(_COLUMN_TYPES.get(kind) or Array(DataType.double), name, required=len(inputs) == 1)
        for name, kind in inputs.items()
    ]
    columns += [ColSpec("string", "laterality", required=False), ColSpec("string", "case_id", required=False)]
    heads = [target, *(f"{target}_{name}" for name in inputs)]
    names = [column for head in heads for column in (head, *(f"{head}_p{place}" for place in range(classes)))]
    outputs = [ColSpec("string", "case_id"), *(ColSpec("double", name) for name in names)]
    return ModelSignature(inputs=Schema(columns), outputs=Schema(outputs))


def _describe(tracker: MLflowRun, folder: Path, manifest: dict[str, Any], name: str, version: str) -> None:
    target = manifest["target"]
    unit = f" ({target['unit']})" if target["unit"] else ""
    lines = [f"{target['name']}{unit} from {', '.join(manifest['inputs'])}; method {manifest['method']}."]
    measured = folder / "report" / "metrics.json"
    if measured.is_file():
        fusion = read_json(measured).get("overall", {}).get("fusion", {})
        shown_first = ("mae", "rmse", "r2", "accuracy", "balanced_accuracy", "log_loss")
        known = {key: fusion.get(key, {}).get("estimate") for key in shown_first}
        shown = [f"{key} {value:.3f}" for key, value in known.items() if value is not None]
        lines += ["Test split: " + ", ".join(shown) + "."] if shown else []
    lines.append("Not a medical device.")
    tracker.client.update_model_version(name, version, description=" ".join(lines))
    tags = {"method": manifest["method"], "medmd": manifest["medmd"], **_digests(manifest)}
    for key, value in tags.items():
        tracker.client.set_model_version_tag(name, version, key, str(value))


def _digests(manifest: dict[str, Any]) -> dict[str, str]:
    return {
        "weights_sha256": manifest["sha256"]["model.safetensors"],
        "datalist_sha256": manifest.get("trained_on", {}).get("datalist_sha256", "unknown"),
    }


def _vector_lengths(folder: Path, manifest: dict[str, Any]) -> dict[str, int]:
    """Numbers of each vector, from the last transform's shapes."""
    shapes = read_json(folder / "model" / "preprocessing.json")[-1]["shapes"]
    return {name: int(shapes[name][0]) for name, kind in manifest["inputs"].items() if kind == "vector"}


def _release(package: str) -> str:
    # A local label such as +cpu names a build that a package index does not have.
    return metadata.version(package).split("+")[0]
