"""What is shipped has no finding, and every fault that is put into it has one."""

import copy
import itertools
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medmd.workflows.check_config import check_config
from medmd.workflows.check_config._paths import entries, value_at
from medmd.workflows.check_config._settings import shipped_settings

BUNDLE = Path(__file__).parents[3] / "bundles" / "remd"
PRESETS = sorted(path.stem for path in (BUNDLE / "presets").glob("*.json"))
METHODS = sorted(path.stem for path in (BUNDLE / "methods").glob("*.json"))
DATA = sorted(path.stem for path in (BUNDLE / "data").glob("*.json"))
AFTER = {"grape_imagenet": ["data/grape.json"]}
SHIPPED = {name: json.loads((BUNDLE / f"{name}.json").read_text()) for name in ("train", "evaluate", "inference")}
# Names that a component takes as they are.
FREE = {"objects", "loaders"}


def worse_than_notes(*names, **overrides):
    report = check_config([str(BUNDLE / name) for name in names], overrides)
    return [str(finding) for finding in report.findings if finding.level != "note"]


# Methods with a network or a part of one, which some data or presets lack the inputs for.
OWN_NETWORK = {
    method
    for method in METHODS
    if any(key.startswith("network") for key in json.loads((BUNDLE / "methods" / f"{method}.json").read_text()))
}


# Methods that set the loss of numbers, which classes and tasks do not have.
OF_NUMBERS = {"remd_plus", "uniform_sum_plus"}
NOT_NUMBERS = {"crema_d", "gamma", "multi_mnist"}


def clean_or_a_network_for_other_inputs(method, *files):
    found = worse_than_notes("train.json", *files, f"methods/{method}.json")
    # Of the method's file, or of the data's where it says of what classes or tasks its own network is.
    elsewhere = [each for each in found if ": network#" not in each]
    return elsewhere if method in OWN_NETWORK else found


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_clean_with_every_method(preset):
    for method in METHODS:
        files = [*AFTER.get(preset, []), f"presets/{preset}.json"]
        assert clean_or_a_network_for_other_inputs(method, *files) == []


@pytest.mark.parametrize("data", DATA)
def test_every_data_set_is_clean_with_every_method(data):
    for method in METHODS:
        found = clean_or_a_network_for_other_inputs(method, f"data/{data}.json")
        if method in OF_NUMBERS and data in NOT_NUMBERS:
            assert len(found) == 2
            assert all("regression_loss#" in each and "takes no argument" in each for each in found)
        else:
            assert found == []


@pytest.mark.parametrize("data", ["hospital", "stage2"])
def test_eyes_with_both_images_take_every_method(data):
    for method in METHODS:
        assert worse_than_notes("train.json", f"data/{data}.json", f"methods/{method}.json") == []


def test_the_other_configurations_are_clean():
    for only in ("oct_only", "fundus_only"):
        assert worse_than_notes("train.json", "presets/tiny.json", f"presets/{only}.json") == []
    assert worse_than_notes("train.json", "methods/mmpareto.json", "methods/no_pretraining.json") == []
    assert worse_than_notes("evaluate.json") == []
    assert worse_than_notes("inference.json") == []


@pytest.mark.parametrize(
    "overrides",
    [
        {"batch_size": 4, "balancer#rho": 0.02, "seed": 1, "learning_rate": 1},
        {"stages": ["train", "evaluate"], "resume": False, "pretraining": False},
        {"resume": True, "track": False, "device": "cpu", "threads": 2, "patience": 5},
        {"run_name": 2024, "output_dir": "x", "oct_size": [16, 32, 32], "phantom": {"n": 24, "seed": 0}},
        {"train#trainer#max_epochs": 2, "train::handlers::0::_disabled_": True, "autocast_dtype": "bfloat16"},
        {"network#encoders#oct#depth": 10, "phantom#n": 24, "augmentation#3#_disabled_": "True", "debug": True},
        {"tracking": "mlflow", "experiment_name": "x", "logging_file": "l.conf", "_my_remark": 1},
        {"balancer": {"_disabled_": True}, "datalist": "x/datalist.json"},
        {"device": "$torch.device('cpu')", "batch_size": "@retina_band", "gradient_clip": 1},
        {"fundus_size": "$100 + 12", "oct_size": f"%{BUNDLE}/presets/tiny.json::oct_size"},
    ],
)
def test_what_users_override_is_clean(overrides):
    assert worse_than_notes("train.json", **overrides) == []


@pytest.mark.parametrize(
    ("overrides", "text"),
    [
        ({"stag2_epochs": 9}, "stag2_epochs: nothing uses a setting of this name"),
        ({"batch_size": "eight"}, "batch_size: wrong type; expected int; got 'eight'"),
        ({"batch_size": 2.5}, "batch_size: wrong type; expected int; got 2.5"),
        ({"track": "false"}, "track: wrong type; expected bool (True or False); got 'false'; fix: write False"),
        ({"stages": "train"}, "stages: wrong type; expected list; got 'train'; fix: write \"['train']\""),
        ({"stages": ["train", "evalute"]}, "stages: no such stages; expected some of pretrain, train, evaluate"),
        ({"resume": "yes"}, "resume: no such way to resume; expected 'auto', True or False; got 'yes'"),
        ({"phantom#sed": 1}, "phantom#sed: medmd.data.PhantomCohort takes no argument 'sed'; fix: did you mean seed?"),
        ({"phantom": {"seed": 1}}, "@phantom#n leads nowhere: phantom has no key 'n'"),
        ({"train#trainer#max_epoch": 2}, "train#trainer#max_epoch: medmd.engines.FusionTrainer takes no argument"),
        ({"train#trainerr#max_epochs": 2}, "train has no key 'trainerr'; got 2; fix: did you mean train#trainer?"),
        ({"modalities": ["oct"]}, "fundus: is no modality of this configuration"),
        ({"modalities": ["oct", "fundus", "rnfl"]}, "network#encoders: the modality 'rnfl' is not there"),
        ({"dataset_dir": "nowhere"}, "dataset_dir: nowhere/datalist.json does not exist"),
        ({"patience": "often"}, "patience: medmd.handlers.KeepBestOfEach does not take this as 'patience'"),
        (
            {"oct_size": (16, 32, 32)},
            'oct_size is (16, 32, 32), which has no entries for MONAI; fix: write "[16, 32, 32]"',
        ),
        ({"learning_rate": "fast"}, "learning_rate: wrong type; expected float; got 'fast'"),
        ({"output_dir": ["x"]}, "output_dir: wrong type; expected str; got ['x']"),
        ({"phantom": 3}, "phantom: wrong type; expected dict; got 3"),
        (
            {"balancer": {"rho": 0.1}},
            "balancer: replaces a whole component, but names no _target_; expected medmd.balancing.SGM; "
            "got {'rho': 0.1}; fix: \"+balancer\" merges with it; balancer#rho sets one argument",
        ),
        ({"balancer": "sgm"}, "balancer: replaces a whole component, but names no _target_"),
        ({"session": {}}, "session: replaces a whole component, but names no _target_"),
    ],
)
def test_what_users_mistake_is_found(overrides, text):
    assert any(text in finding for finding in worse_than_notes("train.json", **overrides))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_wrong_type_in_the_file_itself_is_found(name, tmp_path):
    path = tmp_path / "mine.json"
    for key, value in SHIPPED[name].items():
        if isinstance(value, (int, bool)) and not key.startswith("_"):
            path.write_text(json.dumps({**SHIPPED[name], key: "nonsense"}))
            wrong = check_config([str(path)]).errors
            assert (key,) in [finding.path for finding in wrong], key
            assert {finding.kind for finding in wrong} <= {"wrong-type", "wrong-value"}


def renamable(config):
    for path, _ in entries(config):
        parent = value_at(config, path[:-1]) if path else None
        is_remark = len(path) == 1 and path[0].startswith("_")
        if isinstance(parent, dict) and not is_remark and not FREE & set(path[:-1]):
            yield path


RENAMABLE = [(name, path) for name, config in SHIPPED.items() for path in renamable(config)]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entry=st.sampled_from(RENAMABLE), slip=st.sampled_from(["add", "drop", "swap", "double"]))
def test_any_slip_in_any_key_is_found(tmp_path, entry, slip):
    name, path = entry
    key = path[-1]
    renamed = {
        "add": key + "z", "drop": key[:-1], "swap": key[1] + key[0] + key[2:] if len(key) > 2 else key + "q",
        "double": key[0] + key,
    }[slip]  # fmt: skip
    config = copy.deepcopy(SHIPPED[name])
    parent = value_at(config, path[:-1])
    if renamed in parent or renamed.startswith("_") != key.startswith("_"):
        return
    parent[renamed] = parent.pop(key)
    file = tmp_path / f"{name}.json"
    file.write_text(json.dumps(config, indent=2))
    errors = check_config([str(file)]).errors
    assert errors, f"{path} -> {renamed}"
    assert all(finding.place is None or finding.place.line is None or finding.place.line > 0 for finding in errors)


NAMES = ["a", "b", "_target_", "_disabled_", "_mode_", "+a", "a#b", "c::0", "run", ""]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["@a", "$@a + 1", "%a", "@#a", "$", "medmd.balancing.SGM", "@a::0", "SimpleInferer", "$@##b"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=JSON, second=JSON, value=JSON, is_train=st.booleans())
def test_no_configuration_is_too_strange(tmp_path, first, second, value, is_train):
    files = [tmp_path / "first.json", tmp_path / "second.json"]
    for file, content in zip(files, [SHIPPED["inference"] if is_train else first, second], strict=True):
        file.write_text(json.dumps(content))
    report = check_config([str(file) for file in files], {"a": value, "b#c": value, "predictor#batch_size": value})
    assert json.loads(report.to_json())["ok"] is report.ok
    assert report.exit_code in (0, 1, 2)
    assert all(str(finding) for finding in report.findings)


def test_inputs_of_the_defaults_are_only_noted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    notes = check_config([str(BUNDLE / "inference.json")]).findings
    assert {(finding.level, finding.path) for finding in notes} == {
        ("note", ("model_dir",)),
        ("note", ("dataset_dir",)),
    }
    (tmp_path / "output" / "phantom").mkdir(parents=True)
    assert len(check_config([str(BUNDLE / "inference.json")]).findings) == 1
    report = check_config([str(BUNDLE / "inference.json")], {"model_dir": "mine", "dataset_dir": "eyes"})
    assert [finding.path for finding in report.errors] == [("dataset_dir",), ("model_dir",)]


def test_weights_that_are_absent_are_found(tmp_path):
    path = tmp_path / "x.json"
    load = {"_target_": "CheckpointLoader", "load_path": "w.pt", "load_dict": {}}
    path.write_text(
        json.dumps({"run": ["@x", "@y"], "x": load, "y": {**load, "load_path": str(path), "_disabled_": True}})
    )
    (finding,) = check_config([str(path)]).errors
    assert (finding.kind, finding.path) == ("absent-file", ("x", "load_path"))


def test_the_bundle_is_known_by_its_session():
    assert shipped_settings(SHIPPED["train"])["batch_size"] == SHIPPED["train"]["batch_size"]
    assert shipped_settings({"session": 3}) == {}


def test_combinations_are_complete():
    assert len(list(itertools.product(PRESETS, METHODS))) >= 49
    assert DATA
