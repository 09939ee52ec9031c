"""What `python -m monai.bundle run` refuses before anything is made."""

import json
import subprocess
import sys
from pathlib import Path

import monai.bundle
import pytest
from monai.bundle import ConfigParser

from medmd.utils import MedmdError
from medmd.workflows import check_start, user_error
from medmd.workflows._parser import active_start

# MONAI says at each start that a configuration is code.
pytestmark = pytest.mark.filterwarnings("ignore:parsing config_file:UserWarning")
BUNDLE = Path(__file__).parents[2] / "bundles" / "remd"


@pytest.fixture
def refused(tmp_path, monkeypatch):
    """The error with which a start ends; nothing may have been made by then."""
    monkeypatch.chdir(tmp_path)

    def start(*overlays, files=("train.json", "presets/tiny.json"), **overrides):
        names = [str(BUNDLE / name) for name in files]
        for number, overlay in enumerate(overlays):
            Path(f"{number}.json").write_text(json.dumps(overlay))
            names.append(f"{number}.json")
        before = sorted(tmp_path.iterdir())
        with pytest.raises(RuntimeError) as caught:
            monai.bundle.run(config_file=names, logging_file=str(BUNDLE / "logging.conf"), **overrides)
        assert sorted(tmp_path.iterdir()) == before
        return str(user_error(caught.value))

    return start


@pytest.mark.parametrize(
    ("overrides", "text"),
    [
        ({"stag2_epochs": 9}, "stag2_epochs: nothing uses a setting of this name; fix: did you mean train_epochs?"),
        ({"zebra": 9}, "zebra: nothing uses a setting of this name; fix: leave it out"),
        ({"batch_size": "eight"}, "batch_size: wrong type; expected int; got 'eight'"),
        ({"train#trainer#max_epoch": 2}, "train#trainer#max_epoch: medmd.engines.FusionTrainer takes no argument"),
        ({"train#zebra": 2}, "train#zebra: nothing uses a setting of this name"),
        ({"stages": ["tran"]}, "stages: no such stages"),
    ],
)
def test_a_wrong_override_is_refused_in_one_line(refused, overrides, text):
    sentence = refused(**overrides)
    assert sentence.startswith(text)
    assert "\n" not in sentence


def test_a_wrong_file_is_refused_with_its_line(refused):
    overlay = {"batch_size": "eight", "balancer": {"_target_": "medmd.balancing.SGN"}}
    assert refused(overlay).splitlines() == [
        "0.json:1:2: batch_size: wrong type; expected int; got 'eight'",
        "0.json:1:38: balancer#_target_: cannot be located: medmd.balancing has no 'SGN'; got 'medmd.balancing.SGN'; "
        "fix: did you mean medmd.balancing.SGM?",
    ]


def test_the_other_configurations_refuse_too(refused):
    for name in ("evaluate.json", "inference.json"):
        assert refused(files=[name], batch_sizee=3).startswith("batch_sizee: nothing uses")


def test_a_setting_of_an_overlay_that_nothing_uses_is_no_reason(refused):
    # The next thing that is wrong ends it: there is no such folder.
    sentence = refused({"zebra": 1, "run": ["$@session.run()"]}, dataset_dir="nowhere")
    assert "zebra" not in sentence
    assert "no datalist at nowhere" in sentence


def test_overrides_from_a_file_of_arguments_count(refused, tmp_path):
    path = tmp_path / "arguments.json"
    path.write_text('{"zebra": 3}')
    assert refused(args_file=str(path)).startswith("zebra: nothing uses")


class Probe:
    """Tells what it was started with."""

    seen = None

    def __init__(self):
        Probe.seen = active_start()


def test_files_and_overrides_of_the_start_are_known(tmp_path, monkeypatch):
    config = {"initialize": ["$@probe()"], "run": ["$1"], "probe": "$__import__('probe_holder').Probe"}
    holder = type(sys)("probe_holder")
    holder.Probe = Probe
    monkeypatch.setitem(sys.modules, "probe_holder", holder)
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text(json.dumps(config))
    a, b = str(tmp_path / "a.json"), str(tmp_path / "b.json")
    monai.bundle.run(config_file=[a, b], z=2)
    assert Probe.seen.files == [a, b]
    assert Probe.seen.overrides["z"] == 2
    assert active_start() is None


def test_without_a_start_the_settings_of_the_bundle_are_judged():
    check_start()
    config = json.loads((BUNDLE / "train.json").read_text())

    def start(**changes):
        parser = ConfigParser({**config, **changes})
        return parser.get_parsed_content("initialize#1")

    start(device="cpu", zebra=1)
    with pytest.raises(RuntimeError) as caught:
        start(batch_size="eight")
    assert str(user_error(caught.value)) == "batch_size: wrong type; expected int; got 'eight'"
    assert isinstance(user_error(caught.value), MedmdError)


def run(*words, cwd):
    return subprocess.run(
        [sys.executable, "-m", "monai.bundle", "run", "--config_file", str(BUNDLE / "inference.json"), *words],
        capture_output=True, text=True, check=False, cwd=cwd, timeout=300,
    )  # fmt: skip


def test_the_command_ends_with_one_line(tmp_path):
    ended = run("--batch_sizee", "3", cwd=tmp_path)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert ended.stderr.splitlines()[-1] == (
        "medmd: error: batch_sizee: nothing uses a setting of this name; fix: did you mean batch_size?"
    )


@pytest.mark.slow
def test_with_debug_the_traceback_comes_first(tmp_path):
    """A small version is in test_errors.py."""
    ended = run("--batch_sizee", "3", "--debug", cwd=tmp_path)
    assert ended.returncode == 1
    assert "Traceback" in ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("medmd: error: batch_sizee: nothing uses a setting of this name")


@pytest.mark.slow
def test_what_monai_refuses_before_any_component_cannot_be_explained(tmp_path):
    """The documentation sends these to `medmd check-config`."""
    nested = run("--predictorr#batch_size", "3", cwd=tmp_path)
    assert "KeyError: 'query key: predictorr'" in nested.stderr
    (tmp_path / "broken.json").write_text('{"a": 1,}')
    broken = run("--config_file", "broken.json", cwd=tmp_path)
    assert "JSONDecodeError" in broken.stderr
    assert "medmd: error" not in nested.stderr + broken.stderr
