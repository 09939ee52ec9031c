"""A tracking server that fails is told in one sentence, without the credentials of its address."""

import pytest

from medmd.handlers import MLflowRun
from medmd.utils import MedmdError


def test_the_error_names_the_server_and_not_the_password(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1:9")
    run = MLflowRun(folder=tmp_path)
    with pytest.raises(MedmdError) as caught, run.speaking():
        raise OSError("API request to http://user:secret@127.0.0.1:9/api/2.0 failed")
    text = str(caught.value)
    assert "http://127.0.0.1:9" in text
    assert "--track False" in text
    assert "secret" not in text
    assert "user" not in text
    assert caught.value.__cause__ is None


def test_errors_of_a_local_store_are_left_as_they_are(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(OSError, match="disk"), MLflowRun(folder=tmp_path).speaking():
        raise OSError("disk")


@pytest.mark.filterwarnings("ignore:.*noload.*loader strategy:DeprecationWarning")
def test_a_moved_folder_is_refused_before_anything_is_written_at_the_old_place(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    first = MLflowRun(folder=old)
    first.start(parameters={}, tags={})
    first.finish("FINISHED")
    old.rename(new)
    with pytest.raises(MedmdError, match="was moved"):
        MLflowRun(folder=new).start(parameters={}, tags={})
    assert not old.exists()
