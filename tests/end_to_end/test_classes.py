"""Whole runs on classes and on several tasks: trained, evaluated, reported, tracked, handed over."""

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from monai.bundle import ConfigWorkflow
from PIL import Image
from sklearn.metrics import accuracy_score, balanced_accuracy_score, cohen_kappa_score, log_loss

from data_prep import crema_d, multi_mnist
from data_prep.crema_d._clips import EMOTIONS
from medmd.data import load_items
from medmd.workflows import Evaluation, Predictor

BUNDLE = Path(__file__).parents[2] / "bundles" / "remd"
SMALL = {"device": "cpu", "pretrain_epochs": 1, "train_epochs": 2, "batch_size": 8}
PROBABILITIES = [f"fusion_p{place}" for place in range(6)]


def run(folder, data, overlays, **settings):
    workflow = ConfigWorkflow(
        config_file=[str(BUNDLE / name) for name in ("train.json", *overlays)],
        meta_file=str(BUNDLE / "metadata.json"),
        logging_file=False,
        workflow_type="train",
        **{**SMALL, "dataset_dir": str(data), "output_dir": str(folder), **settings},
    )
    workflow.initialize()
    workflow.run()
    return folder


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    """CREMA-D's layout: 8 actors, 6 emotions each; the frame's brightness is the emotion; every 5th has none."""
    from scipy.io import wavfile

    source = tmp_path_factory.mktemp("clips")
    random = np.random.default_rng(0)
    (source / "AudioWAV").mkdir()
    for number, (actor, emotion) in enumerate((actor, emotion) for actor in range(1001, 1009) for emotion in EMOTIONS):
        name = f"{actor}_DFA_{emotion}_XX"
        place = list(EMOTIONS).index(emotion)
        tone = np.sin(2 * np.pi * (300 + 400 * place) * np.arange(8000) / 16000) + 0.1 * random.normal(size=8000)
        wavfile.write(source / "AudioWAV" / f"{name}.wav", 16000, (8000 * tone).astype(np.int16))
        if number % 5:
            folder = source / "Image-01-FPS" / name
            folder.mkdir(parents=True)
            grey = 30 + 35 * place + random.integers(0, 10, (40, 40, 3))
            Image.fromarray(grey.astype(np.uint8)).save(folder / "0001.jpg")
    out = tmp_path_factory.mktemp("crema") / "crema_d"
    crema_d.convert(source, out)
    return out


@pytest.fixture(scope="module")
def of_classes(clips, tmp_path_factory) -> Path:
    planes = {f"network#encoders#{name}#planes": [4, 4, 8, 8] for name in ("audio", "frame")}
    settings = {**planes, "audio_size": [32, 40], "frame_size": 32, "learning_rate": 0.01}
    folder = tmp_path_factory.mktemp("classes") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return run(folder, clips, ["data/crema_d.json"], **settings)


def held_out(folder) -> pd.DataFrame:
    table = pd.read_csv(folder / "predictions.csv")
    return table[table["split"] == "testing"]


def test_the_table_has_classes_and_probabilities_of_every_predictor(of_classes):
    table = held_out(of_classes)
    for name in (
        "fusion", "unimodal_audio", "unimodal_frame", "pretrain_audio", "pretrain_frame", "late_average",
        "reference_constant",
    ):  # fmt: skip
        probabilities = table[[f"{name}_p{place}" for place in range(6)]]
        here = probabilities.notna().all(axis=1)
        np.testing.assert_allclose(probabilities[here].sum(axis=1), 1, atol=1e-5)
        assert (probabilities[here].to_numpy().argmax(axis=1) == table.loc[here, name]).all()
        assert table.loc[~here, name].isna().all()
    lacking = table["pretrain_frame"].isna()
    assert 0 < lacking.sum() < len(table)
    # Where one modality is absent the average is that of the other.
    assert (table.loc[lacking, "late_average"] == table.loc[lacking, "pretrain_audio"]).all()


def test_metrics_are_those_of_scikit_learn_on_the_table(of_classes):
    table = held_out(of_classes)
    found = json.loads((of_classes / "report" / "metrics.json").read_text())
    assert found["kind"] == "class"
    assert found["target"]["classes"] == list(EMOTIONS.values())
    fusion = {name: entry["estimate"] for name, entry in found["overall"]["fusion"].items() if isinstance(entry, dict)}
    assert fusion["accuracy"] == pytest.approx(accuracy_score(table["target"], table["fusion"]))
    assert fusion["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(table["target"], table["fusion"]))
    expected = cohen_kappa_score(table["target"], table["fusion"], labels=range(6), weights="quadratic")
    assert fusion["kappa"] == pytest.approx(expected)
    probabilities = table[PROBABILITIES].to_numpy()
    expected = log_loss(table["target"], probabilities / probabilities.sum(axis=1, keepdims=True), labels=range(6))
    assert fusion["log_loss"] == pytest.approx(expected, rel=1e-5)
    assert np.sum(found["overall"]["fusion"]["confusion"]) == len(table)


def test_the_report_is_about_classes_only(of_classes):
    page = (of_classes / "report" / "report.md").read_text()
    assert "Confusion matrix" in page
    assert "quadratic kappa" in page
    for word in ("RMSE", "bland_altman", "severity", "STAGE", "within 2", "Limits of agreement", " dB"):
        assert word not in page, word
    pictures = {path.name for path in (of_classes / "report" / "figures").glob("*.png")}
    assert {"confusion.png", "predictors.png", "training_curves.png", "conflict.png"} <= pictures
    assert not pictures & {"scatter.png", "bland_altman.png", "error_by_severity.png", "margin.png"}


def test_the_best_epoch_is_that_of_the_lowest_log_loss(of_classes):
    history = pd.read_csv(of_classes / "history.csv")
    losses = history[(history["stage"] == "train") & (history["name"] == "val_fusion_log_loss")]
    table = pd.read_csv(of_classes / "predictions.csv")
    table = table[table["split"] == "validation"]
    values = table[PROBABILITIES].to_numpy()[np.arange(len(table)), table["target"].astype(int)]
    assert losses["value"].min() == pytest.approx(-np.log(values).mean(), rel=1e-5)


def test_final_values_are_tracked(of_classes):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{of_classes / 'mlruns.db'}")
    runs = client.search_runs([each.experiment_id for each in client.search_experiments()])
    metrics = runs[0].data.metrics
    found = json.loads((of_classes / "report" / "metrics.json").read_text())["overall"]["fusion"]
    assert metrics["test/fusion_accuracy"] == pytest.approx(found["accuracy"]["estimate"])
    assert metrics["test/fusion_log_loss"] == pytest.approx(found["log_loss"]["estimate"])
    assert runs[0].info.status == "FINISHED"


def test_the_model_folder_predicts_and_evaluates_the_same(of_classes, clips, tmp_path):
    predictor = Predictor(of_classes / "model")
    assert predictor.model.manifest["target"]["classes"] == list(EMOTIONS.values())
    table, items = held_out(of_classes), load_items(clips / "datalist.json", "testing")
    found = predictor.predict(items)
    assert list(found.columns[:4]) == ["case_id", "emotion", "emotion_p0", "emotion_p1"]
    assert found["emotion"].tolist() == table["fusion"].tolist()
    np.testing.assert_allclose(found["emotion_audio_p3"], table["unimodal_audio_p3"], atol=1e-5)
    Evaluation(predictor=predictor, source=clips, output_dir=tmp_path).run()
    again = json.loads((tmp_path / "report" / "metrics.json").read_text())["overall"]["fusion"]
    first = json.loads((of_classes / "report" / "metrics.json").read_text())["overall"]["fusion"]
    assert again["confusion"] == first["confusion"]


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> Path:
    """MultiMNIST from idx files in which a digit is a bright row at its own height."""
    source = tmp_path_factory.mktemp("mnist")
    for stem, count in (("train", 120), ("t10k", 60)):
        labels = np.arange(count, dtype=np.uint8) % 10
        images = np.zeros((count, 28, 28), dtype=np.uint8)
        for place, label in enumerate(labels):
            images[place, 2 * label + 4 : 2 * label + 6, 4:24] = 255
        for name, array, code in (("images-idx3", images, 3), ("labels-idx1", labels, 1)):
            header = bytes([0, 0, 8, code]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
            (source / f"{stem}-{name}-ubyte.gz").write_bytes(gzip.compress(header + array.tobytes()))
    out = tmp_path_factory.mktemp("digits") / "multi_mnist"
    multi_mnist.convert(source, out, options=multi_mnist.Options(training=64, validation=24, testing=24))
    return out


@pytest.mark.parametrize("method", ["uniform_sum", "sgm", "mgda"])
def test_tasks_are_trained_reported_and_predicted(digits, tmp_path, method):
    folder = run(tmp_path / "run", digits, ["data/multi_mnist.json", f"methods/{method}.json"], track=False)
    table = held_out(folder)
    found = json.loads((folder / "report" / "metrics.json").read_text())
    assert list(found["tasks"]) == ["left", "right"]
    for task in ("left", "right"):
        expected = accuracy_score(table[f"task_{task}_target"], table[f"task_{task}"])
        assert found["tasks"][task]["overall"]["fusion"]["accuracy"]["estimate"] == pytest.approx(expected)
        assert (folder / "report" / task / "report.html").is_file()
    assert table["target"].equals(table["task_left_target"].rename("target"))
    history = pd.read_csv(folder / "history.csv")
    assert {"loss_left", "loss_right", "val_tasks_loss"} <= set(history["name"])
    if method != "uniform_sum":
        assert history.loc[history["name"] == "cosine", "value"].between(-1, 1).all()
    predicted = Predictor(folder / "model").predict(load_items(digits / "datalist.json", "testing"))
    assert list(predicted.columns) == [
        "case_id",
        *(f"digits_{task}{end}" for task in ("left", "right") for end in ("", *(f"_p{n}" for n in range(10)))),
    ]
    assert predicted["digits_right"].tolist() == table["task_right"].tolist()
