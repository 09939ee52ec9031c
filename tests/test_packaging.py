import configparser
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.10", "3.11", "3.12", "3.13")


def declared(section, key):
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    lines = [line.strip() for line in parser[section][key].splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def pins():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.lstrip().startswith("#")]


def pinned(name, python):
    wanted = canonicalize_name(name)
    environment = {"python_version": python, "python_full_version": f"{python}.7"}
    hits = [
        pin
        for pin in pins()
        if canonicalize_name(pin.name) == wanted and (pin.marker is None or pin.marker.evaluate(environment))
    ]
    assert len(hits) == 1, f"{name} on Python {python}: {hits}"
    return next(iter(hits[0].specifier)).version


def test_each_dependency_has_a_reason():
    text = (ROOT / "setup.cfg").read_text()
    block = text.split("install_requires =\n")[1].split("\n\n")[0].splitlines()
    for above, line in zip(["", *block], block, strict=False):
        if not line.strip().startswith("#"):
            assert above.strip().startswith("# "), f"{line.strip()} has no comment above it"
    assert len(block) == 2 * len(declared("options", "install_requires"))


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("options", "install_requires"),
        *(("options.extras_require", key) for key in ("test", "docs", "dicom", "cluster")),
    ],
)
def test_one_pin_a_requirement_and_python_within_the_declared_range(section, key, python):
    for requirement in declared(section, key):
        if requirement.name == "medmd":
            continue  # an extra that asks for others of our own, which have their turn
        assert requirement.specifier.contains(pinned(requirement.name, python)), requirement


def test_pins_are_exact_and_say_how_they_were_made():
    assert all([item.operator for item in pin.specifier] == ["=="] for pin in pins())
    assert "make constraints" in "".join((ROOT / "constraints.txt").read_text().splitlines()[:2])


def test_torch_is_held_and_torchvision_stays_out():
    assert pinned("torch", "3.11") == "2.13.0"
    assert "torchvision" not in {pin.name for pin in pins()}


def test_pythons_of_the_classifiers_are_those_of_the_range():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    listed = re.findall(r"Python :: (3\.\d+)", parser["metadata"]["classifiers"])
    assert tuple(listed) == PYTHONS
    supported = Requirement(f"x{parser['options']['python_requires']}").specifier
    assert [python for python in (*PYTHONS, "3.9", "3.14") if supported.contains(python)] == list(PYTHONS)


def test_the_readme_names_only_make_targets_that_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for name in ("README.md", "CONTRIBUTING.md", ".ci/run"):
        named = set(
            re.findall(
                r"\bmake (?:-\S+ )*([a-z]+)\b(?=`|\s*$|\s+#| ARGS|\s+\w+=)",
                (ROOT / name).read_text(),
                flags=re.MULTILINE,
            )
        )
        assert named, name
        assert named <= targets, name
    text = (ROOT / "README.md").read_text()
    assert text.index("make train") < text.index("\n## ", text.index("make train"))
    assert "make test" in text


def test_make_help_lists_the_targets():
    done = subprocess.run(["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {"train", "test", "lint", "types", "docs", "clean"} <= set(
        re.findall(r"^  make (\w+)", done.stdout, re.MULTILINE)
    )


def test_make_train_runs_the_bundle_in_the_documented_way():
    done = subprocess.run(["make", "--dry-run", "train"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "python -m monai.bundle run --config_file bundles/remd/train.json" in done.stdout


def test_ci_script_is_executable_and_valid():
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", script], check=True)
    text = script.read_text()
    assert "set -euo pipefail" in text
    assert text.index("make test") < text.index("make train")
    assert "||" not in text.split("make test")[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The names in a wheel that is built from the tracked files alone."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if tracked.returncode:
        pytest.skip("not a git checkout")
    for name in filter(None, tracked.stdout.split("\0")):
        if (ROOT / name).is_file():
            target = source / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    # Caches of a run from the checkout must not travel.
    (source / "medmd" / "__pycache__").mkdir()
    (source / "medmd" / "__pycache__" / "cli.cpython-311.pyc").write_bytes(b"")
    code = "import sys\nfrom setuptools.build_meta import build_wheel\nprint(build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(out)], cwd=source, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(out.glob("*.whl"))) as archive:
        return archive.namelist()


def test_the_wheel_holds_the_library_the_converters_and_the_bundles_alone(wheel):
    folders = {name.split("/")[0] for name in wheel}
    assert {folder for folder in folders if not folder.endswith(".dist-info")} == {"medmd", "data_prep", "bundles"}
    assert not [name for name in wheel if "__pycache__" in name]


def test_the_wheel_holds_every_tracked_file_of_the_packages(wheel):
    tracked = subprocess.run(
        ["git", "ls-files", "medmd", "data_prep", "bundles"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    missing = [name for name in tracked if (ROOT / name).is_file() and name not in wheel]
    assert missing == []


def test_the_wheel_holds_licence_and_typing_marker(wheel):
    assert any(name.endswith("dist-info/licenses/LICENSE") for name in wheel)
    assert "medmd/py.typed" in wheel
