import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUNDLE = ROOT / "bundles" / "remd"
TEXT = (BUNDLE / "docs" / "README.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", TEXT, flags=re.DOTALL)
    for line in block.replace("\\\n", " ").strip().splitlines()
]


@pytest.mark.parametrize("command", [line for line in COMMANDS if " run " in line])
def test_a_command_names_files_and_settings_that_exist(command):
    files = re.findall(r"bundles/remd/[\w/.]+\.json", command)
    assert files
    config = {}
    for name in files:
        config |= json.loads((ROOT / name).read_text())
    settings = [name for name in re.findall(r"--(\w+)", command) if name != "config_file"]
    assert [name for name in settings if name not in config] == []


def test_the_verifications_name_files_that_exist():
    found = [line for line in COMMANDS if " verify_" in line]
    assert len(found) == 2
    for name in re.findall(r"bundles/remd/[\w/.]+", " ".join(found)):
        assert (ROOT / name).is_file(), name


def test_every_preset_is_mentioned():
    for path in (BUNDLE / "presets").glob("*.json"):
        # A preset of one data set belongs to that data set's file.
        if not any(path.stem.startswith(data.stem) for data in (BUNDLE / "data").glob("*.json")):
            assert f"`{path.stem}`" in TEXT


def test_the_shapes_are_those_of_the_metadata():
    inputs = json.loads((BUNDLE / "metadata.json").read_text())["network_data_format"]["inputs"]
    slices, depth, along = inputs["image"]["spatial_shape"]
    assert f"1 × {slices} slices × {depth} depth × {along} along-scan" in TEXT
    assert "3 × {} × {}".format(*inputs["fundus"]["spatial_shape"]) in TEXT
