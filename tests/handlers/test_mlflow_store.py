"""A store that fails is told in one sentence, without the credentials of its address and without a path."""

import errno
import os

import pytest

from medmd.handlers import MLflowRun
from medmd.handlers._mlflow_store import Store, http_status, patience, reason
from medmd.utils import MedmdError

SETTINGS = ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "MLFLOW_HTTP_REQUEST_TIMEOUT")


@pytest.mark.parametrize("user", ["user:secret@", "user:se@cret:secret@", "secret@", "user:se%2Fcret@"])
def test_the_error_names_the_server_and_not_the_password(tmp_path, monkeypatch, user):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{user}127.0.0.1:9")
    run = MLflowRun(folder=tmp_path)
    with pytest.raises(MedmdError) as caught, run.speaking():
        raise OSError(f"API request to http://{user}127.0.0.1:9/api/2.0 failed")
    text = str(caught.value)
    assert "http://127.0.0.1:9" in text
    assert "--track False" in text
    assert "cret" not in text
    assert "user" not in text
    assert caught.value.__cause__ is None


def test_errors_of_a_local_store_are_left_as_they_are(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(OSError, match="disk"), MLflowRun(folder=tmp_path).speaking():
        raise OSError("disk")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionError("[Errno 111] Connection refused"), "connection refused"),
        (OSError("HTTPConnectionPool: Read timed out. (read timeout=30)"), "no answer in time"),
        (OSError("Failed to resolve 'mlflow.example.org'"), "its name is not known"),
        (OSError("certificate verify failed: self signed"), "no secure connection: its certificate is not trusted"),
        (ConnectionResetError("Remote end closed connection"), "connection lost"),
        (RuntimeError("(sqlite3.OperationalError) database is locked"), "its database is locked by another program"),
        (PermissionError(errno.EACCES, "denied", "/data/mueller-hans/x.db"), "PermissionError: denied"),
        (RuntimeError("no access to /data/mueller-hans/x, sorry"), "RuntimeError: no access to <path>, sorry"),
        (RuntimeError("see https://a:b@host/mueller-hans\nBody: mueller-hans"), "RuntimeError: see <address>"),
        (RuntimeError(r"cannot open C:\Users\mueller-hans\x.db"), "RuntimeError: cannot open <path>"),
        (RuntimeError(""), "RuntimeError: "),
    ],
)
def test_the_reason_is_short_and_names_nobody(error, words):
    assert reason(error) == words


def test_a_long_reason_is_cut():
    assert len(reason(RuntimeError("x" * 900))) == 200


@pytest.mark.parametrize(
    ("uri", "identity"),
    [
        ("https://anna:secret@tracking.example.org:8443/mlflow", "https://tracking.example.org:8443"),
        ("http://tracking.example.org", "http://tracking.example.org:"),
    ],
)
def test_what_the_folder_remembers_holds_no_password(tmp_path, monkeypatch, uri, identity):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert Store(tmp_path).identity == identity


def test_two_databases_are_told_apart_without_their_paths(tmp_path, monkeypatch):
    found = set()
    for name in ("mueller-hans", "weber"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:////data/{name}.db")
        store = Store(tmp_path)
        assert name not in store.identity
        assert store.explain(RuntimeError("full")) == (
            "The MLflow store of MLFLOW_TRACKING_URI cannot be used (RuntimeError: full)."
        )
        found.add(store.identity)
    assert len(found) == 2


def test_requests_are_impatient_only_within_and_the_users_settings_stay(monkeypatch):
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    with patience():
        assert [os.environ[name] for name in SETTINGS] == ["1", "1", "77"]
        with patience():
            pass
        assert os.environ[SETTINGS[0]] == "1"
    assert [os.environ.get(name) for name in SETTINGS] == [None, None, "77"]


def test_the_status_of_a_refused_request():
    class RefusedError(RuntimeError):
        response = type("Response", (), {"status_code": 413})()

    assert (http_status(RefusedError()), http_status(RuntimeError())) == (413, 0)


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
