import pytest

from medmd import registry
from medmd.cli import main
from medmd.registry import Registered

# What registering does is tested in tests/registry; here, what the verb hands on and says.


@pytest.fixture
def asked(monkeypatch):
    calls = []

    def register_run(run_dir, *, name, alias=None):
        calls.append((run_dir, name, alias))
        store = "https://mlflow.example.org" if name == "shared" else "sqlite:////x/mlruns.db"
        uri = f"models:/{name}@{alias}" if alias else f"models:/{name}/3"
        return Registered(name=name, version="3", alias=alias, uri=uri, store=store)

    monkeypatch.setattr(registry, "register_run", register_run)
    return calls


def test_the_store_of_the_run_is_shown(asked, capsys):
    assert main(["register", "output/x"]) == 0
    assert asked == [("output/x", "remd", None)]
    out = capsys.readouterr().out
    assert "Registered remd, version 3.\n" in out
    assert 'mlflow.set_tracking_uri("sqlite:////x/mlruns.db")' in out
    assert 'mlflow.pyfunc.load_model("models:/remd/3")' in out


def test_name_and_alias_are_handed_on_and_a_server_is_not_shown(asked, capsys):
    assert main(["register", "output/x", "--name", "shared", "--alias", "challenger"]) == 0
    assert asked == [("output/x", "shared", "challenger")]
    out = capsys.readouterr().out
    assert "version 3, alias challenger." in out
    assert 'load_model("models:/shared@challenger")' in out
    assert "set_tracking_uri" not in out


def test_a_folder_without_a_run_is_one_line(tmp_path, capsys):
    assert main(["register", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "no finished run here" in error
    assert len(error.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
