import shutil

import pytest

from medmd.utils import MedmdError, sha256_file
from medmd.workflows._folder import fingerprint, open_folder, write_run_file

CONFIG = {
    "seed": 0,
    "network": {"encoders": {"oct": {"depth": 18}}},
    "output_dir": "a",
    "device": "cpu",
    "_x_": "remark",
}


def content(folder):
    return {path.relative_to(folder): sha256_file(path) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    write_run_file(folder, {"fingerprint": fingerprint(CONFIG, "d1"), "datalist_sha256": "d1"}, CONFIG)
    (folder / "result.txt").write_text("kept")
    return folder


@pytest.mark.parametrize("resume", ["auto", False])
@pytest.mark.parametrize("exists", [True, False])
def test_an_absent_or_empty_folder_begins_a_run(tmp_path, resume, exists):
    if exists:
        (tmp_path / "new").mkdir()
    assert open_folder(tmp_path / "new", CONFIG, "d1", resume) is False


@pytest.mark.parametrize("resume", ["auto", True])
def test_the_same_run_goes_on(run, resume):
    before = content(run)
    assert open_folder(run, CONFIG, "d1", resume) is True
    assert content(run) == before


def test_places_speed_and_remarks_may_differ(run):
    other = CONFIG | {"output_dir": "b", "device": "cuda", "num_workers": 4, "stages": ["train"], "_x_": "y", "_y_": 1}
    assert open_folder(run, other, "d1", "auto") is True


def test_resume_false_moves_the_old_run_aside(run):
    before = content(run)
    for number in (1, 2):
        assert open_folder(run, CONFIG, "d1", False) is False
        assert not run.exists()
        assert content(run.with_name(f"run.{number}")) == before
        shutil.copytree(run.with_name(f"run.{number}"), run)


def refused(folder, *arguments, match):
    before = content(folder.parent)
    with pytest.raises(MedmdError, match=match):
        open_folder(folder, *arguments)
    assert content(folder.parent) == before


def test_another_configuration_is_refused_and_its_settings_are_named(run):
    other = CONFIG | {"seed": 1, "network": {"encoders": {"oct": {"depth": 34}}}, "extra": list(range(100))}
    refused(
        run, other, "d1", "auto", match=r"seed \(0 -> 1\); network#encoders#oct#depth \(18 -> 34\); extra \(null -> "
    )
    refused(run, other, "d1", True, match="seed")


def test_other_data_are_refused(run):
    refused(run, CONFIG, "d2", "auto", match="differs in the datalist's content")


def test_a_run_whose_configuration_was_not_written_is_refused_only_when_it_differs(run):
    (run / "config.json").unlink()
    assert open_folder(run, CONFIG, "d1", "auto") is True
    refused(run, CONFIG | {"seed": 1}, "d1", "auto", match="differs in its settings")


@pytest.mark.parametrize("resume", ["auto", True, False])
def test_a_foreign_folder_is_refused(tmp_path, resume):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    refused(folder, CONFIG, "d1", resume, match="holds no run")
    refused(folder / "config.json", CONFIG, "d1", resume, match="is a file")


def test_resume_true_needs_a_run(tmp_path):
    refused(tmp_path / "none", CONFIG, "d1", True, match="no run in")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("resume", ["yes", None, 2])
def test_an_unknown_resume_is_refused(run, resume):
    refused(run, CONFIG, "d1", resume, match='"auto", True or False')


@pytest.mark.parametrize("resume", ["auto", True, False])
def test_a_check_that_refuses_leaves_everything(run, resume):
    def check(*, goes_on):
        raise MedmdError(f"goes on: {goes_on}")

    refused(run, CONFIG, "d1", resume, check, match=f"goes on: {resume is not False}")


def test_the_fingerprint_sees_settings_and_data():
    same = fingerprint(CONFIG, "d1")
    assert same == fingerprint(dict(reversed(CONFIG.items())), "d1")
    assert same != fingerprint(CONFIG, "d2")
    assert same != fingerprint(CONFIG | {"batch_size": 8}, "d1")


@pytest.mark.parametrize("left", [["config.json"], [], [".lock", "config.json", ".tmp-x"]])
def test_a_start_that_computed_nothing_makes_room_for_another_configuration(tmp_path, left):
    write_run_file(tmp_path, {"fingerprint": fingerprint(CONFIG, "d1"), "datalist_sha256": "d1"}, CONFIG)
    for name in {"config.json", *left}:
        (tmp_path / name).unlink() if name not in left else (tmp_path / name).touch()
    if "config.json" in left:
        write_run_file(tmp_path, {"fingerprint": fingerprint(CONFIG, "d1"), "datalist_sha256": "d1"}, CONFIG)
    corrected = {**CONFIG, "seed": 1}
    with pytest.raises(MedmdError, match="holds a run that differs"):
        open_folder(tmp_path, corrected, "d1", True)
    assert open_folder(tmp_path, CONFIG, "d1", "auto") is True
    assert open_folder(tmp_path, corrected, "d1", "auto") is False


@pytest.mark.parametrize("computed", ["history.csv", "checkpoints", "mlflow.db"])
def test_anything_computed_is_kept(tmp_path, computed):
    write_run_file(tmp_path, {"fingerprint": fingerprint(CONFIG, "d1"), "datalist_sha256": "d1"}, CONFIG)
    (tmp_path / computed).mkdir()
    with pytest.raises(MedmdError, match="holds a run that differs"):
        open_folder(tmp_path, {**CONFIG, "seed": 1}, "d1", "auto")
