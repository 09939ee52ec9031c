"""Every combination of presets, methods and data sets is a configuration that can be built; nothing is trained here."""

import itertools
import json
from pathlib import Path

import pytest
from monai.bundle import ConfigParser

from medmd.balancing import Balancer, JointLoss, UniformSum
from medmd.data import Case, Datalist, Header, InputSpec, write_datalist
from medmd.networks import build_network
from medmd.utils import MedmdError
from medmd.workflows import build_preprocessing, resolve_literals
from medmd.workflows._settings import check_settings
from medmd.workflows.check_config import check_config

BUNDLE = Path(__file__).parents[2] / "bundles" / "remd"
PRESETS = sorted(path.stem for path in (BUNDLE / "presets").glob("*.json"))
METHODS = sorted(path.stem for path in (BUNDLE / "methods").glob("*.json"))
DATA = sorted(path.stem for path in (BUNDLE / "data").glob("*.json"))
# After which data set a preset is meant, where it says so.
AFTER = {"grape_imagenet": "grape"}
# Methods that replace the network or a part of it.
OWN_NETWORK = {
    method
    for method in METHODS
    if any(key.startswith("network") for key in json.loads((BUNDLE / "methods" / f"{method}.json").read_text()))
}
# Needs weights that are installed apart.
NEEDS_WEIGHTS = {"grape_imagenet"}


def overlays(preset, *more):
    data = [f"data/{AFTER[preset]}.json"] if preset in AFTER else []
    return [*data, f"presets/{preset}.json", *more]


def compose(*names, **settings):
    config = ConfigParser.load_config_files([str(BUNDLE / name) for name in ("train.json", *names)])
    parser = ConfigParser(config)
    computed = {"target_statistics": STATISTICS, "label_density": DENSITY}
    known = {name: value for name, value in computed.items() if name in parser.config}
    parser.update({"device": "cpu", "datalist": "none", "train#steps": 100, **known, **settings})
    return parser


DENSITY = {"centres": [-1.5, -0.5], "density": [3.0, 5.0], "counts": [2, 6]}
STATISTICS = {"mean": -6.0, "std": 5.0, "variance": 25.0, "count": 100, "tail_threshold": -12.0}


def test_there_is_something_to_compose():
    assert {"default", "tiny", "paper", "vit", "oct_only", "fundus_only"} <= set(PRESETS)
    assert {"sgm", "mmpareto", "ogm_ge", "uniform_sum", "joint_loss"} <= set(METHODS)


@pytest.mark.parametrize(("preset", "method"), list(itertools.product(PRESETS, METHODS)))
def test_every_preset_takes_every_method(preset, method):
    parser = compose(*overlays(preset, f"methods/{method}.json"))
    check_settings(dict(parser.config))
    resolve_literals(parser.config, "network")
    assert isinstance(parser.get_parsed_content("balancer"), Balancer)
    assert callable(parser.get_parsed_content("regression_loss"))
    overlay = json.loads((BUNDLE / "methods" / f"{method}.json").read_text())
    for name in overlay.keys() - {"label_density"}:
        # MONAI writes what separates the levels of a name in its own way.
        assert json.dumps(parser[name]).replace("::", "#") == json.dumps(overlay[name])


@pytest.mark.parametrize(("names", "steps"), [(["oct", "fundus"], 15), (["oct"], 5)])
def test_sse_sam_switches_at_seven_tenths_of_its_own_steps(tmp_path, names, steps):
    """Of 12 cases 5 have the volume: the training on it alone is a third as long."""
    rows = [
        Case(
            case_id=f"c{place}",
            patient_id=f"p{place}",
            inputs={"oct": [0.0] if place < 5 else None, "fundus": [0.0]},
            target=-float(place),
        )
        for place in range(12)
    ]
    splits = {"training": rows, "validation": [], "testing": []}
    header = Header(name="cases", inputs={name: InputSpec(kind="vector") for name in ("oct", "fundus")})
    write_datalist(tmp_path / "datalist.json", Datalist(header=header, splits=splits))
    parser = ConfigParser(
        ConfigParser.load_config_files([str(BUNDLE / name) for name in ("train.json", "methods/sse_sam.json")])
    )
    settings = {"datalist": str(tmp_path / "datalist.json"), "modalities": names, "batch_size": 4, "train_epochs": 5}
    parser.update({**settings, "train#dataset": "@train#data"})
    assert parser.get_parsed_content("train#steps") == steps
    assert parser.get_parsed_content("balancer").switch_after == steps * 7 // 10


@pytest.mark.parametrize(
    ("files", "balancer"),
    [
        (["presets/oct_only.json", "methods/egvfi.json"], JointLoss),
        (["methods/egvfi.json", "presets/oct_only.json"], JointLoss),
        (["methods/egvfi.json"], UniformSum),
    ],
)
def test_egvfi_has_one_loss_for_one_volume(files, balancer):
    """With one modality the fused and the unimodal head see one feature: their sum would be two losses."""
    assert type(compose(*files).get_parsed_content("balancer")) is balancer


def test_ranksim_acts_with_its_published_strength():
    parser = compose("methods/uniform_sum.json", "methods/rank_sim.json")
    loss = parser.get_parsed_content("pretrain#contrastive_loss")
    assert (loss.interpolation, loss.weight, loss.reduction) == (2.0, 100.0, "sum")
    assert parser["pretrain#trainer#contrastive_weight"] == 1.0


@pytest.mark.parametrize("preset", PRESETS)
def test_the_parts_of_a_preset_fit_one_another(preset):
    parser = compose(*overlays(preset))
    described = resolve_literals(parser.config, "preprocessing")
    last = build_preprocessing(described).transforms[-1]
    network = build_network(resolve_literals(parser.config, "network"), load_pretrained=False)
    assert list(network.modalities) == list(last.keys) == parser["modalities"]
    augmented = parser.get_parsed_content("augmentation")
    assert len(augmented) == len(parser["augmentation"])


@pytest.mark.parametrize("preset", [name for name in PRESETS if name not in NEEDS_WEIGHTS and name != "paper"])
def test_a_network_takes_what_the_preprocessing_gives(preset, make_datalist):
    import torch

    parser = compose(*overlays(preset), retina_band=10)
    network = build_network(resolve_literals(parser.config, "network")).eval()
    last = build_preprocessing(resolve_literals(parser.config, "preprocessing")).transforms[-1]
    inputs = {name: torch.zeros(1, *shape) for name, shape in last.shapes.items()}
    with torch.no_grad():
        assert network(inputs).fusion.shape == (1,)


@pytest.mark.parametrize("name", DATA)
def test_every_data_set_takes_every_method(name):
    refused = set()
    for method in METHODS:
        parser = compose(f"data/{name}.json", f"methods/{method}.json")
        check_settings(dict(parser.config))
        last = build_preprocessing(resolve_literals(parser.config, "preprocessing")).transforms[-1]
        try:
            network = build_network(resolve_literals(parser.config, "network"))
        except MedmdError:
            refused.add(method)
            continue
        if list(network.modalities) != list(last.keys):
            refused.add(method)
        assert list(last.keys) == parser["modalities"]
    # Networks of their own are made for a number and, some, for OCT; on other data they are refused beforehand.
    assert refused <= (OWN_NETWORK if name not in ("hospital", "stage2") else set())
    for method in sorted(refused):
        files = [str(BUNDLE / part) for part in ("train.json", f"data/{name}.json", f"methods/{method}.json")]
        found = [finding for finding in check_config(files).findings if finding.level == "error"]
        assert any(finding.path[0] == "network" for finding in found), method


def test_methods_with_a_network_of_their_own():
    assert {"eyemost", "eyemost_plus", "egvfi", "sf3d", "stage2024"} <= OWN_NETWORK
    assert not OWN_NETWORK & {"sgm", "uniform_sum", "lds"}


@pytest.mark.parametrize(
    ("preset", "method", "words"),
    [("fundus_only", "egvfi", "oct"), ("fundus_only", "sf3d", "oct"), ("oct_only", "stage2024", "fundus")],
)
def test_a_network_for_what_is_not_there_is_refused(preset, method, words):
    files = ["train.json", f"presets/{preset}.json", f"methods/{method}.json"]
    report = check_config([str(BUNDLE / name) for name in files])
    assert any(f.path == ("network", "encoders", words) and "no modality" in f.what for f in report.findings)


def test_the_default_preset_changes_nothing():
    plain, preset = compose(), compose("presets/default.json")
    changed = {name for name in preset.config if preset[name] != plain.config.get(name)}
    assert changed <= {"_desc_"}


@pytest.mark.parametrize("path", sorted(BUNDLE.rglob("*.json")), ids=lambda path: str(path.relative_to(BUNDLE)))
def test_every_file_says_what_it_is(path):
    content = json.loads(path.read_text())
    if path.parent.name in ("presets", "data"):
        assert content["_desc_"]
    if path.parent.name == "methods" and path.stem in ("sgm", "mmpareto", "ogm_ge", "uniform_sum", "joint_loss"):
        assert content["method"] == path.stem


@pytest.mark.parametrize("method", METHODS)
def test_stage_one_takes_as_many_steps_with_every_method(method):
    """Two views of a case are two rows of a batch: were it no larger, an epoch would take twice as many steps."""
    stage = compose(f"methods/{method}.json")
    views = stage.config["pretrain"]["sampler"].get("views", 1)
    assert stage.get_parsed_content("pretrain#dataloader#batch_size", lazy=True) == views * stage["batch_size"]
    # What a resumed epoch skips is counted in rows, too.
    assert stage.get_parsed_content("pretrain#handlers#0#batch_size") == views * stage["batch_size"]


def test_the_noise_of_balanced_mse_is_in_the_unit_of_the_target():
    loss = compose("methods/balanced_mse.json").get_parsed_content("regression_loss")
    assert loss.noise == pytest.approx(0.7 * STATISTICS["std"])


def test_expressions_are_few():
    def expressions(value):
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list):
            return [text for item in value for text in expressions(item)]
        return [value] if isinstance(value, str) and value.startswith("$") else []

    found = {
        name: expressions(json.loads((BUNDLE / f"{name}.json").read_text()))
        for name in ("train", "evaluate", "inference")
    }
    assert len(found["train"]) <= 30
    assert len(found["evaluate"]) <= 3
    assert len(found["inference"]) <= 3
    assert all(len(text) < 120 and "lambda" not in text for texts in found.values() for text in texts)


@pytest.mark.parametrize("only", ["oct", "fundus"])
def test_one_modality_composes_with_another_size(only):
    parser = compose("presets/tiny.json", f"presets/{only}_only.json")
    described = resolve_literals(parser.config, "preprocessing")
    other = {"oct": "fundus", "fundus": "oct"}[only]
    assert other not in json.dumps(described)
    network = build_network(resolve_literals(parser.config, "network"))
    assert network.modalities == (only,)
