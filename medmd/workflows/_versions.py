"""With what a run was made: versions, machine and revision, nothing that names a person or a place."""

from __future__ import annotations

import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

import torch

from medmd._version import __version__

_PACKAGES = ("monai", "torch", "pytorch-ignite", "numpy", "scipy", "pandas", "nibabel", "scikit-image", "mlflow")


def environment(device: str | torch.device) -> dict[str, str]:
    """Versions of the packages, of Python and of the source, and the device, as texts."""
    found = {"medmd": __version__, "python": platform.python_version(), "machine": platform.machine()}
    found.update({package: _version(package) for package in _PACKAGES})
    found["device"] = str(device)
    found["threads"] = str(torch.get_num_threads())
    found["git_revision"] = git_revision()
    return found


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "absent"


def git_revision() -> str:
    """The commit of the source tree, with `-modified` when files differ from it, or `unknown`."""
    git = shutil.which("git")
    root = Path(__file__).resolve().parents[2]
    if git is None or not (root / ".git").exists():
        return "unknown"

    def ask(*words: str) -> str:
        done = subprocess.run([git, "-C", str(root), *words], capture_output=True, text=True, check=False)  # noqa: S603
        return done.stdout.strip() if done.returncode == 0 else ""

    revision = ask("rev-parse", "HEAD")
    return (revision + ("-modified" if ask("status", "--porcelain", "-uno") else "")) or "unknown"
