import json
import shutil

import pytest
import torch

from medmd.utils import MedmdError, read_json, sha256_file, write_json
from medmd.workflows import build_preprocessing, bundle_network, load_model_folder, write_model_folder

FACTS = {"method": "none", "inputs": {"oct": "volume"}, "target": {"name": "md", "unit": "dB", "range": [-40, 6]}}


@pytest.fixture
def model(untrained_run, tmp_path):
    return shutil.copytree(untrained_run / "model", tmp_path / "model")


def tamper(folder, name, content):
    """Change a file and its digest with it: the digests find damage, not malice."""
    write_json(folder / name, content)
    manifest = read_json(folder / "manifest.json")
    manifest["sha256"][name] = sha256_file(folder / name)
    write_json(folder / "manifest.json", manifest)


def test_a_round_trip_keeps_network_and_preprocessing(model, tmp_path):
    loaded = load_model_folder(model)
    assert not loaded.network.training
    write_model_folder(
        tmp_path / "again",
        network=loaded.network,
        description=read_json(model / "network.json"),
        preprocessing=read_json(model / "preprocessing.json"),
        facts={name: loaded.manifest[name] for name in ("method", "inputs", "target")},
    )
    for name in ("network.json", "preprocessing.json", "model.safetensors", "manifest.json"):
        assert (tmp_path / "again" / name).read_bytes() == (model / name).read_bytes()


def test_the_folder_holds_plain_data_alone(model):
    assert sorted(path.suffix for path in model.iterdir()) == [".json", ".json", ".json", ".safetensors"]
    text = "".join(path.read_text() for path in model.glob("*.json"))
    assert not {"$", "@"} & set(text)


@pytest.mark.parametrize("name", ["network.json", "preprocessing.json", "model.safetensors"])
def test_damage_is_found(model, name):
    path = model / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(MedmdError, match=f"{name} differs from its digest"):
        load_model_folder(model)
    path.unlink()
    with pytest.raises(MedmdError, match=f"{name} is absent"):
        load_model_folder(model)


def test_an_unfinished_folder_is_refused(tmp_path):
    with pytest.raises(MedmdError, match=r"manifest.json: no such file"):
        load_model_folder(tmp_path)


@pytest.mark.parametrize("missing", [("sha256",), ("sha256", "network.json"), ("inputs",), ("target",)])
def test_an_incomplete_manifest_is_refused(model, missing):
    manifest = read_json(model / "manifest.json")
    below = manifest
    for name in missing[:-1]:
        below = below[name]
    del below[missing[-1]]
    write_json(model / "manifest.json", manifest)
    with pytest.raises(MedmdError, match=f"manifest.json.*{missing[-1]}"):
        load_model_folder(model)


def test_a_file_that_the_format_does_not_know_is_refused(model, tmp_path):
    (tmp_path / "secret").write_text("x")
    manifest = read_json(model / "manifest.json")
    manifest["sha256"]["../secret"] = sha256_file(tmp_path / "secret")
    write_json(model / "manifest.json", manifest)
    with pytest.raises(MedmdError, match=r"manifest\.json"):
        load_model_folder(model)


def test_inputs_that_are_not_those_of_the_network_are_refused(model):
    manifest = read_json(model / "manifest.json")
    write_json(model / "manifest.json", manifest | {"inputs": {"fundus": "image", "oct": "volume"}})
    with pytest.raises(MedmdError, match=r"inputs are \['fundus', 'oct'\], those of the network \['oct', 'fundus'\]"):
        load_model_folder(model)


def test_a_later_format_is_refused(model):
    write_json(model / "manifest.json", read_json(model / "manifest.json") | {"format": 2})
    with pytest.raises(MedmdError, match="format 2"):
        load_model_folder(model)


PROOF = "medmd-was-here"
HOSTILE = [
    {"_target_": "os.system", "command": f"touch {PROOF}"},
    {"_target_": "subprocess.run", "args": ["touch", PROOF]},
    {"_target_": "builtins.eval", "source": f"open('{PROOF}', 'w')"},
    {"_target_": "monai.transforms.Lambda", "func": f"$open('{PROOF}', 'w')"},
    {"_target_": "monai.transforms.Lambda", "func": "@0"},
    {"_target_": "monai.transforms.Lambda", "func": "%file.json::key"},
    {"_target_": "medmd.transforms.PackInputsd", "keys": [{"_target_": "os.getcwd"}]},
    {"_target_": "monai.transforms.utils.os.system", "command": f"touch {PROOF}"},
    {"_target_": "monai.transforms.io.array.LoadImage.__init__.__globals__"},
    {"_target_": "medmd.transforms._load.nibabel.load", "filename": "x"},
    {"_target_": ["os.system"]},
    {"_target_": None},
    {"keys": "oct"},
    f"$__import__('os').system('touch {PROOF}')",
    {f"$open('{PROOF}', 'w')": 1, "_target_": "monai.transforms.Identity"},
    {"_target_": "monai.transforms.Identity", "_requires_": f"$open('{PROOF}', 'w')"},
    {"_target_": "monai.transforms.Identity", "_mode_": "debug"},
    {"_target_": "monai.transforms.Flipd", "keys": "oct", "_mode_": "debug"},
    {"_target_": "monai.transforms.Flipd", "keys": ["oct", f"$open('{PROOF}', 'w')"]},
    {"_target_": "monai.transforms.Flipd", "keys": "oct", "spatial_axis": "@0"},
    {"_target_": "monai.transforms.Flipd", "keys": {"_target_": "os.getcwd"}},
    {"_target_": "monai.transforms.LoadImaged", "keys": "oct", "reader": "os.system", "command": f"touch {PROOF}"},
    {"_target_": "monai.transforms.SaveImaged", "keys": "oct"},
    {"_target_": "medmd.transforms.find_retina_band", "volume": 1},
    {"_target_": "medmd.transforms.RandNoised", "keys": "oct"},
]


@pytest.mark.parametrize("entry", HOSTILE, ids=lambda entry: json.dumps(entry)[:50])
def test_hostile_preprocessing_is_refused_and_runs_nothing(model, tmp_path, monkeypatch, entry):
    monkeypatch.chdir(tmp_path)
    tamper(model, "preprocessing.json", [entry, *read_json(model / "preprocessing.json")])
    with pytest.raises(MedmdError, match="preprocessing"):
        load_model_folder(model)
    assert not (tmp_path / PROOF).exists()


@pytest.mark.parametrize(
    "encoder",
    [
        {"_target_": "os.system", "command": f"touch {PROOF}"},
        {"_target_": "torch.load", "f": "x"},
        {"_target_": "medmd.networks.ResNetEncoder", "depth": f"$open('{PROOF}', 'w')"},
        {"_target_": "medmd.networks.ResNetEncoder", "depth": "@other"},
        "$1",
    ],
)
def test_a_hostile_network_is_refused_and_runs_nothing(model, tmp_path, monkeypatch, encoder):
    monkeypatch.chdir(tmp_path)
    description = read_json(model / "network.json")
    description["encoders"]["oct"] = encoder
    tamper(model, "network.json", description)
    with pytest.raises(MedmdError, match="network"):
        load_model_folder(model)
    assert not (tmp_path / PROOF).exists()


@pytest.mark.parametrize("description", [{}, [], "x", None, [{"_target_": "monai.transforms.Flipd", "keys": "oct"}]])
def test_preprocessing_that_is_no_list_of_transforms_is_refused(description):
    with pytest.raises(MedmdError, match="preprocessing"):
        build_preprocessing(description)


def test_wrong_arguments_of_a_transform_are_told(model):
    entry = {"_target_": "monai.transforms.ScaleIntensityd", "no_such_argument": 1}
    with pytest.raises(MedmdError, match="preprocessing#0"):
        build_preprocessing([entry, *read_json(model / "preprocessing.json")])


def test_hostile_preprocessing_is_not_written_either(model, tmp_path):
    with pytest.raises(MedmdError, match=r"os\.system"):
        write_model_folder(
            tmp_path / "new",
            network=load_model_folder(model).network,
            description={},
            preprocessing=[{"_target_": "os.system"}],
            facts=FACTS,
        )
    assert not (tmp_path / "new" / "manifest.json").exists()


def test_the_bundle_network_is_the_same_network(model):
    network = bundle_network(model)
    image, fundus = torch.rand(2, 1, 16, 32, 32), torch.rand(2, 3, 48, 48)
    with torch.no_grad():
        found = network(image, fundus)
        expected = load_model_folder(model).network({"oct": image, "fundus": fundus}).fusion
    torch.testing.assert_close(found[:, 0], expected, rtol=0, atol=0)
