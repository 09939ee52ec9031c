"""A run that was killed before its first file was whole must be able to begin."""

from pathlib import Path

import pytest

from medmd.utils import MedmdError
from medmd.workflows._folder import RUN_FILE, open_folder, write_run_file

CONFIG = {"seed": 0}


class KilledError(BaseException):
    """Stands for the end of the process: nothing tidies up."""


@pytest.fixture
def killed(tmp_path, monkeypatch):
    """The folder of a run that died between writing and naming its first file."""

    def die(*_, **__):
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", die)
        patch.setattr(Path, "unlink", lambda *_, **__: None)
        with pytest.raises(KilledError):
            write_run_file(tmp_path / "run", {"fingerprint": "x"}, CONFIG)
    assert [path.name[:5] for path in (tmp_path / "run").iterdir()] == [".tmp-"]
    return tmp_path / "run"


@pytest.mark.parametrize("resume", ["auto", False])
def test_a_folder_with_half_a_first_file_begins_a_run(killed, resume):
    assert open_folder(killed, CONFIG, "d1", resume) is False
    assert killed.is_dir()
    write_run_file(killed, {"fingerprint": "x"}, CONFIG)
    assert (killed / RUN_FILE).is_file()


def test_there_is_still_no_run_to_insist_on(killed):
    with pytest.raises(MedmdError, match="no run"):
        open_folder(killed, CONFIG, "d1", resume=True)


def test_a_stranger_beside_it_is_left_alone(killed):
    (killed / "thesis.tex").write_text("mine")
    with pytest.raises(MedmdError, match="holds no run"):
        open_folder(killed, CONFIG, "d1", "auto")
    assert (killed / "thesis.tex").read_text() == "mine"
