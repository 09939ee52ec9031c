import getpass
import importlib.metadata
import platform
import socket
import subprocess
from pathlib import Path

import torch

from medmd.workflows import _versions, environment


def test_versions_are_those_that_are_installed():
    found = environment(torch.device("cpu"))
    assert found["torch"] == importlib.metadata.version("torch")
    assert found["python"] == platform.python_version()
    assert found["device"] == "cpu"
    assert all(isinstance(value, str) for value in found.values())


def test_neither_login_host_nor_folder_is_told():
    text = " ".join(environment("cpu").values())
    for word in (socket.gethostname(), str(Path.home()), str(Path.cwd())):
        assert word not in text
    assert getpass.getuser() not in environment("cpu").values()


def test_the_revision_is_that_of_git():
    root = Path(_versions.__file__).parents[2]
    done = subprocess.run(["git", "-C", root, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    expected = done.stdout.strip() if done.returncode == 0 else "unknown"
    assert _versions.git_revision().removesuffix("-modified") == expected


def test_without_git_the_revision_is_unknown(monkeypatch):
    monkeypatch.setattr(_versions.shutil, "which", lambda _: None)
    assert _versions.git_revision() == "unknown"


def test_an_absent_package_is_called_absent():
    assert _versions._version("no-such-package-at-all") == "absent"
