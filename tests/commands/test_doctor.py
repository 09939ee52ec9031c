import json
import platform
from importlib import metadata
from types import SimpleNamespace

import pytest
import torch

from medmd import __version__, cli
from medmd.commands import _environment as environment


@pytest.fixture
def requirements(monkeypatch):
    """What the package asks for, and what is installed, as the test says."""

    def install(declared, installed):
        monkeypatch.setattr(environment.metadata, "requires", lambda _: declared)
        monkeypatch.setattr(environment, "installed_version", installed.get)

    return install


def described(capsys, *arguments):
    code = cli.main(["doctor", *arguments])
    return code, capsys.readouterr().out


def test_json_says_what_is_installed(capsys, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    code, text = described(capsys, "--json")
    found = json.loads(text)
    assert list(found) == [
        "medmd", "python", "packages", "devices", "memory", "disk", "extras", "mlflow_tracking_uri", "problems",
    ]  # fmt: skip
    assert code == (1 if found["problems"] else 0)
    assert found["medmd"] == __version__
    assert found["python"]["version"] == platform.python_version()
    assert found["packages"]["torch"] == metadata.version("torch")
    assert found["packages"]["monai"] == metadata.version("monai")
    assert found["devices"]["cpu"]["threads"] == torch.get_num_threads()
    assert found["devices"]["cpu"]["cores"] >= 1
    assert len(found["devices"]["cuda"]) == torch.cuda.device_count()
    assert 0 < found["memory"]["available"] <= found["memory"]["total"]
    assert found["disk"]["free"] > 0
    assert found["extras"]["test"]["install"] == "pip install -c constraints.txt -e '.[test]'"
    assert found["mlflow_tracking_uri"] is None


def test_text_names_the_same_things(capsys, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://user:hunter2@host.example/mlflow")
    _, text = described(capsys)
    assert f"torch            {metadata.version('torch')}" in text
    assert "mlflow tracking  https://host.example/mlflow" in text
    assert "hunter2" not in text
    assert "user" not in text


def test_tracking_server_is_shown_without_password(capsys, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:hunter2@db:5432/mlflow?token=abc")
    _, text = described(capsys, "--json")
    assert json.loads(text)["mlflow_tracking_uri"] == "postgresql://db:5432/mlflow"


def test_requirements_that_are_not_met(requirements, capsys):
    requirements(
        ["torch>=2.8", "numpy>=2.0", "monai>=1.6.1,<1.7", "tomli; python_version < '3'", "pytest>=8; extra == 'test'"],
        {"torch": "2.13.0+cpu", "numpy": "1.26.4"},
    )
    assert environment.unmet_requirements(None) == [
        "numpy 1.26.4, expected >=2.0",
        "monai absent, expected <1.7,>=1.6.1",
    ]
    code, text = described(capsys)
    assert code == 1
    assert "problem: numpy 1.26.4, expected >=2.0" in text


def test_a_missing_extra_comes_with_its_command(requirements, capsys, monkeypatch):
    requirements(["torch", "furo; extra == 'docs'", "sphinx>=7; extra == 'docs'"], {"torch": "2.13.0", "sphinx": "6.0"})
    monkeypatch.setattr(environment.metadata, "metadata", lambda _: SimpleNamespace(get_all=lambda _: ["docs"]))
    code, text = described(capsys)
    assert code == 0
    assert "extra docs: furo, sphinx not installed; get it in the clone with: " in text
    assert "pip install -c constraints.txt -e '.[docs]'" in text


def test_met_requirements_are_no_problem(requirements):
    requirements(["torch>=2.8"], {"torch": "2.13.0+cpu"})
    assert environment.unmet_requirements(None) == []


def test_absent_package_has_no_version():
    assert environment.installed_version("no-such-distribution-as-this") is None


def test_cuda_devices(monkeypatch, capsys):
    cards = [
        SimpleNamespace(name="Card A", total_memory=24 * 2**30, major=8),
        SimpleNamespace(name="Card B", total_memory=2**33, major=7),
    ]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(cards))
    monkeypatch.setattr(torch.cuda, "get_device_properties", cards.__getitem__)
    _, text = described(capsys)
    assert "Card A, 24.0 GiB, with native bfloat16; Card B, 8.0 GiB, without native bfloat16" in text


@pytest.mark.parametrize(
    ("flags", "expected"), [("fpu avx2 avx512_bf16", True), ("Features : fp asimd bf16", True), ("fpu avx2", False)]
)
def test_bfloat16_of_the_processor(flags, expected, tmp_path):
    (tmp_path / "cpuinfo").write_text(f"flags\t\t: {flags}\n")
    assert environment._cpu_has_bfloat16(tmp_path / "cpuinfo") is expected


def test_bfloat16_is_unknown_without_cpuinfo(tmp_path):
    assert environment._cpu_has_bfloat16(tmp_path / "absent") is None
