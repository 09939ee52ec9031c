import subprocess
import sys
from pathlib import Path

import pytest

import bundles
from medmd import cli
from medmd.commands.bundle_path import bundle_folder
from medmd.utils import MedmdError


@pytest.fixture
def portions(tmp_path, monkeypatch):
    """Two folders called `bundles` on the path, and the entry that an editable installation adds."""
    for place, name in [("first", "remd"), ("first", "other"), ("second", "remd"), ("second", "third")]:
        folder = tmp_path / place / name
        folder.mkdir(parents=True)
        (folder / "metadata.json").write_text("{}")
    (tmp_path / "first" / "not_a_bundle").mkdir()
    path = [str(tmp_path / "first"), "__editable__.medmd.finder.__path_hook__", str(tmp_path / "second")]
    monkeypatch.setattr(bundles, "__path__", path)
    return tmp_path


def test_prints_the_folder_alone(portions, capsys):
    assert cli.main(["bundle-path"]) == 0
    assert capsys.readouterr().out == f"{portions / 'first' / 'remd'}\n"


@pytest.mark.parametrize(("name", "place"), [("remd", "first"), ("other", "first"), ("third", "second")])
def test_the_first_portion_wins_and_all_are_searched(name, place, portions):
    assert bundle_folder(name) == portions / place / name


@pytest.mark.parametrize("name", ["not_a_bundle", "", "..", "../first/remd", "remd/"])
def test_other_names_are_refused_with_the_list(name, portions):
    with pytest.raises(MedmdError, match="Expected one of: other, remd, third"):
        bundle_folder(name)


def test_nothing_installed(monkeypatch):
    monkeypatch.setattr(bundles, "__path__", [])
    with pytest.raises(MedmdError, match="none found"):
        bundle_folder()


def test_finds_the_bundle_from_another_working_directory(tmp_path):
    # An unrelated folder of the same name, as any user may have one.
    (tmp_path / "bundles" / "notes").mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, "-m", "medmd.cli", "bundle-path"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    folder = Path(done.stdout.rstrip("\n"))
    assert folder.is_absolute()
    assert (folder / "train.json").is_file()
