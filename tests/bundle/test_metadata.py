import json
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import validate
from monai.bundle import ConfigWorkflow, verify_metadata, verify_net_in_out
from packaging.requirements import Requirement

import medmd

ROOT = Path(__file__).parents[2]
BUNDLE = ROOT / "bundles" / "remd"
METADATA = json.loads((BUNDLE / "metadata.json").read_text())
TRAIN = json.loads((BUNDLE / "train.json").read_text())


def pinned(name):
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    found = [Requirement(line) for line in lines if line.split("==")[0] == name]
    python = {"python_version": "3.11", "python_full_version": "3.11.7"}
    (pin,) = [pin for pin in found if pin.marker is None or pin.marker.evaluate(python)]
    return next(iter(pin.specifier)).version


def test_versions_are_those_that_the_project_pins():
    assert METADATA["monai_version"] == pinned("monai")
    assert METADATA["pytorch_version"] == pinned("torch")
    assert METADATA["numpy_version"] == pinned("numpy")
    assert METADATA["required_packages_version"] == {
        name: pinned(name) for name in METADATA["required_packages_version"]
    }
    assert METADATA["version"] == medmd.__version__
    assert METADATA["version"] in METADATA["changelog"]


def test_the_shapes_are_those_of_the_default():
    inputs = METADATA["network_data_format"]["inputs"]
    assert list(inputs) == ["image", "fundus"]
    assert inputs["image"]["spatial_shape"] == TRAIN["oct_size"]
    assert inputs["fundus"]["spatial_shape"] == [TRAIN["fundus_size"]] * 2
    encoders = TRAIN["network"]["encoders"]
    assert inputs["image"]["num_channels"] == encoders["oct"]["in_channels"]
    assert inputs["fundus"]["num_channels"] == encoders["fundus"]["in_channels"]
    scaled = [step for step in TRAIN["preprocessing"] if "b_min" in step]
    assert [[step["b_min"], step["b_max"]] for step in scaled] == [entry["value_range"] for entry in inputs.values()]


def test_it_obeys_the_shipped_schema():
    validate(METADATA, json.loads((BUNDLE / "metadata.schema.json").read_text()))


@pytest.mark.filterwarnings("ignore:No hash value provided")
def test_monai_verifies_it_without_a_network(monkeypatch):
    def no_network(*_, **__):
        raise OSError("the network was asked")

    monkeypatch.setattr("socket.socket.connect", no_network)
    verify_metadata(meta_file=str(BUNDLE / "metadata.json"), filepath=str(BUNDLE / "metadata.schema.json"))


def test_monai_verifies_the_network_of_the_training():
    verify_net_in_out(
        net_id="network_def",
        meta_file=str(BUNDLE / "metadata.json"),
        config_file=str(BUNDLE / "train.json"),
        device="cpu",
    )


def test_monai_verifies_the_network_of_a_model_folder(tmp_path):
    from monai.bundle import ConfigParser

    from medmd.networks import build_network
    from medmd.workflows import resolve_literals, write_model_folder

    config = ConfigParser.load_config_file(str(BUNDLE / "train.json"))
    description = resolve_literals(config, "network")
    write_model_folder(
        tmp_path / "model",
        network=build_network(description),
        description=description,
        preprocessing=resolve_literals(config, "preprocessing"),
        facts={"method": "none", "inputs": {"oct": "volume", "fundus": "image"}, "target": {"name": "md"}},
    )
    for name in ("inference", "evaluate"):
        verify_net_in_out(
            net_id="network_def",
            meta_file=str(BUNDLE / "metadata.json"),
            config_file=str(BUNDLE / f"{name}.json"),
            device="cpu",
            model_dir=str(tmp_path / "model"),
        )


def workflow(name, kind, **settings):
    return ConfigWorkflow(
        config_file=str(BUNDLE / f"{name}.json"),
        meta_file=str(BUNDLE / "metadata.json"),
        logging_file=False,
        workflow_type=kind,
        **settings,
    )


def test_what_monais_tools_ask_of_a_training_is_there(make_datalist, tmp_path):
    path = make_datalist(patients=18)
    training = workflow(
        "train",
        "train",
        dataset_dir=str(path.parent),
        output_dir=str(tmp_path / "run"),
        retina_band=10,
        device="cpu",
        batch_size=4,
    )
    training.initialize()
    assert training.check_properties() == []
    assert len(training.train_dataset) == len(training.train_dataset_data) == 24
    assert training.max_epochs == TRAIN["train_epochs"]
    assert training.trainer.state.max_epochs == TRAIN["train_epochs"]
    assert type(training.network_def).__name__ == "BundleNetwork"


@pytest.mark.parametrize("name", ["inference", "evaluate"])
def test_a_missing_model_is_said_in_one_sentence(name, tmp_path):
    from medmd.workflows import user_error

    prediction = workflow(name, None, model_dir=str(tmp_path / "none"))
    prediction.initialize()
    with pytest.raises(RuntimeError) as caught:
        prediction.run()
    assert "manifest.json: no such file" in str(user_error(caught.value))


def test_the_log_shows_our_lines_and_hides_engines(tmp_path):
    code = (
        "import logging, logging.config, sys\n"
        "logging.config.fileConfig(sys.argv[1], disable_existing_loggers=False)\n"
        "logging.getLogger('medmd.workflows').info('shown')\n"
        "logging.getLogger('ignite.engine.engine.FusionTrainer').info('hidden')\n"
        "logging.getLogger('monai.bundle').info('hidden')\n"
        "logging.getLogger('mlflow.x').info('hidden')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, BUNDLE / "logging.conf"], capture_output=True, text=True, check=True
    )
    assert done.stdout.split(" ", 1)[1] == "shown\n"
    assert done.stderr == ""


def test_the_licence_is_that_of_the_project():
    assert (BUNDLE / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
