"""The overlays of GRAPE through MONAI's own workflow."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from monai.bundle import ConfigParser, ConfigWorkflow

import bundles
from medmd.networks import EfficientNetLiteEncoder, SmallCnnEncoder

BUNDLE = Path(next(iter(bundles.__path__))) / "remd"
FILES = [str(BUNDLE / "train.json"), str(BUNDLE / "data" / "grape.json")]


def test_trains_and_evaluates_an_epoch_of_each_stage(grape_like, tmp_path):
    workflow = ConfigWorkflow(
        FILES,
        logging_file=False,
        dataset_dir=str(grape_like),
        output_dir=str(tmp_path / "run"),
        pretrain_epochs=1,
        train_epochs=1,
        batch_size=8,
        cache_workers=1,
        device="cpu",
    )
    # The workflow has an argument of its own of this name.
    workflow.parser["tracking"] = False
    workflow.initialize()
    workflow.run()
    workflow.finalize()
    table = pd.read_csv(tmp_path / "run" / "predictions.csv")
    expected = {"fusion", "unimodal_fundus", "unimodal_rnfl", "pretrain_fundus", "pretrain_rnfl", "late_average"}
    assert expected <= set(table.columns)
    assert set(table["split"]) == {"validation", "testing"}
    assert table["fusion"].notna().all()
    manifest = json.loads((tmp_path / "run" / "model" / "manifest.json").read_text())
    assert manifest["target"]["name"] == "mean_sensitivity"
    assert manifest["inputs"] == {"fundus": "image", "rnfl": "vector"}


def test_an_eye_without_rnfl_is_kept_and_its_standardised_values_are_sane(grape_like):
    parser = ConfigParser()
    parser.read_config(FILES)
    parser["dataset_dir"] = str(grape_like)
    parser["cache_workers"] = 1
    items = {item["case_id"]: item for item in parser.get_parsed_content("train#dataset")}
    assert items["grape-0003-L-1"]["present"].tolist() == [True, False]
    complete = torch.stack([item["rnfl"] for item in items.values() if item["present"].all()])
    assert complete.abs().max() < 6
    crops = torch.stack([item["fundus"] for item in items.values()])
    assert crops.shape[1:] == (3, 64, 64)
    network = parser.get_parsed_content("network_on_device")
    assert isinstance(network.encoders["fundus"], SmallCnnEncoder)
    assert network.modalities == ("fundus", "rnfl")


@pytest.mark.real_data
def test_standardisation_is_that_of_the_release(real_data):
    from data_prep.grape._visits import find_workbook, read_visits

    parser = ConfigParser()
    parser.read_config(FILES)
    stated = next(each for each in parser["preprocessing"] if each["_target_"].endswith("StandardizeVectord"))
    visits = read_visits(find_workbook(real_data / "grape"))
    values = torch.tensor([visit.rnfl for visit in visits.visits if visit.number == 1 and visit.rnfl])
    assert (values.mean(0) - torch.tensor(stated["mean"])).abs().max() < 0.1 * values.std(0).max()


def test_imagenet_weights_are_one_overlay_further():
    parser = ConfigParser()
    parser.read_config([*FILES, str(BUNDLE / "presets" / "grape_imagenet.json")])
    encoder = parser["network"]["encoders"]["fundus"]
    assert encoder == {"_target_": "medmd.networks.EfficientNetLiteEncoder", "pretrained": True}
    # The weights are an extra; what is composed around them is not.
    encoder["pretrained"] = False
    parser["device"] = torch.device("cpu")
    network = parser.get_parsed_content("network_on_device").eval()
    assert isinstance(network.encoders["fundus"], EfficientNetLiteEncoder)
    size = parser["fundus_size"]
    with torch.no_grad():
        found = network({"fundus": torch.zeros(2, 3, size, size), "rnfl": torch.zeros(2, 5)})
    assert found.fusion.shape == (2,)
    assert torch.isfinite(found.fusion).all()


@pytest.mark.parametrize("name", ["no_pretraining", "contrastive_weight_0"])
def test_small_overlays_are_plain_json(name):
    content = json.loads((BUNDLE / "methods" / f"{name}.json").read_text())
    assert all(not str(value).startswith("$") for value in content.values())
