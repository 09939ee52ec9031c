"""From a release on disk to a scored submission, through the programs a user calls."""

from pathlib import Path

import pandas as pd
import pytest
from monai.bundle import ConfigParser, ConfigWorkflow

import bundles
from data_prep.stage2.__main__ import main
from medmd.cli import main as medmd

BUNDLE = Path(next(iter(bundles.__path__))) / "remd"
SMALL = {"retina_band": 32, "oct_size": [8, 16, 16], "fundus_size": 32, "batch_size": 4}


def train(dataset, output, *overlays):
    names = ("train.json", "data/stage2.json", "presets/tiny.json", *overlays)
    workflow = ConfigWorkflow(
        [str(BUNDLE / name) for name in names],
        logging_file=False,
        dataset_dir=str(dataset),
        output_dir=str(output),
        pretrain_epochs=1,
        train_epochs=1,
        device="cpu",
        track=False,
        **SMALL,
    )
    workflow.initialize()
    workflow.run()
    workflow.finalize()


def submit_and_score(run, dataset, labels, folder, capsys):
    predictions, result = str(folder / "predictions.csv"), str(folder / "MD_Results.csv")
    datalist = str(dataset / "datalist_validation.json")
    assert medmd(["predict", str(run), datalist, predictions]) == 0
    assert main(["submit", predictions, datalist, result]) == 0
    capsys.readouterr()
    assert main(["score", result, str(labels)]) == 0
    assert capsys.readouterr().out.startswith("score ")
    return pd.read_csv(result, dtype={"ID": str})


@pytest.fixture
def labels(tmp_path):
    """Of the validation part, which the release keeps to itself."""
    path = tmp_path / "task1_GT_validation.csv"
    path.write_text("ID,MD\n" + "".join(f"{n},{-n / 3:.2f}\n" for n in (21, 22, 23, 11, 12, 13)))
    return path


def keep(path, numbers):
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], *(line for line in lines if line.split(",")[0] in numbers)]))
    return path


def test_stage2_to_a_scored_submission(stage2024, labels, tmp_path, capsys):
    dataset = tmp_path / "eyes"
    assert main([str(stage2024), str(dataset), "--validation-fraction", "0.2"]) == 0
    assert medmd(["check", str(dataset)]) == 0
    train(dataset, tmp_path / "run")
    table = submit_and_score(tmp_path / "run", dataset, keep(labels, {"21", "22", "23"}), tmp_path, capsys)
    assert table["ID"].tolist() == ["0021", "0022", "0023"]
    assert table["pred_MD"].between(-40, 6).all()
    assert table["pred_MD"].nunique() == 3


def test_stage_2023_needs_the_preset_for_oct_alone(stage2023, labels, tmp_path, capsys):
    dataset = tmp_path / "eyes"
    (stage2023 / "STAGE_training" / "data_info_training.xlsx").unlink()
    assert main([str(stage2023), str(dataset), "--validation-fraction", "0.2"]) == 0
    train(dataset, tmp_path / "run", "presets/oct_only.json")
    table = submit_and_score(tmp_path / "run", dataset, keep(labels, {"11", "12", "13"}), tmp_path, capsys)
    assert table["ID"].tolist() == ["0011", "0012", "0013"]


def test_the_overlay_keeps_eyes_of_unknown_side_and_nothing_of_the_stage():
    config = ConfigParser.load_config_files([str(BUNDLE / "train.json"), str(BUNDLE / "data" / "stage2.json")])
    (harmonize,) = (each for each in config["preprocessing"] if each["_target_"].endswith("HarmonizeLateralityd"))
    assert harmonize["missing"] == "keep"
    assert config["modalities"] == ["oct", "fundus"]
