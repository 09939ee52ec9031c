"""What is installed and what the machine offers, as plain JSON values."""

from __future__ import annotations

import os
import platform
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil
import torch
from packaging.requirements import Requirement

from medmd import __version__
from medmd.commands._uri import without_credentials

_SHOWN = ("torch", "monai", "pytorch-ignite", "mlflow", "numpy", "scipy", "pandas", "nibabel", "pydicom", "SimpleITK")


def describe_environment() -> dict[str, Any]:
    """Versions, devices, memory and disk (bytes), missing extras, the tracking server, and what is wrong.

    Nothing in it identifies a person: no user, host or folder name, no password.
    """
    memory = psutil.virtual_memory()
    tracking = os.environ.get("MLFLOW_TRACKING_URI")
    return {
        "medmd": __version__,
        "python": {"version": platform.python_version(), "platform": platform.platform()},
        "packages": {name: installed_version(name) for name in _SHOWN},
        "devices": {"cpu": _cpu(), "cuda": _cuda(), "mps": torch.backends.mps.is_available()},
        "memory": {"total": memory.total, "available": memory.available},
        "disk": {"free": shutil.disk_usage(Path.cwd()).free},
        "extras": _extras(),
        "mlflow_tracking_uri": without_credentials(tracking) if tracking else None,
        "problems": unmet_requirements(None),
    }


def installed_version(name: str) -> str | None:
    """The version of an installed distribution, None when it is absent."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def unmet_requirements(extra: str | None) -> list[str]:
    """What of the package's own requirements (of one of its extras, when given) is absent or of the wrong version."""
    return [
        f"{requirement.name} {version or 'absent'}, expected {requirement.specifier or 'any version'}"
        for requirement in _requirements(extra)
        if not _meets(version := installed_version(requirement.name), requirement)
    ]


def _meets(version: str | None, requirement: Requirement) -> bool:
    return version is not None and requirement.specifier.contains(version, prereleases=True)


def _requirements(extra: str | None) -> list[Requirement]:
    declared = [Requirement(text) for text in metadata.requires("medmd") or []]
    wanted = [item for item in declared if item.marker is None or item.marker.evaluate({"extra": extra or ""})]
    if extra is None:
        return wanted
    return [item for item in wanted if item.marker is not None and not item.marker.evaluate({"extra": ""})]


def _extras() -> dict[str, dict[str, Any]]:
    names = metadata.metadata("medmd").get_all("Provides-Extra") or []
    # In the clone: the package is on no index.
    install = "pip install -c constraints.txt -e '.[{}]'"
    return {name: {"missing": _missing(name), "install": install.format(name)} for name in names}


def _missing(extra: str) -> list[str]:
    return [item.name for item in _requirements(extra) if not _meets(installed_version(item.name), item)]


def _cpu() -> dict[str, Any]:
    return {
        "cores": psutil.cpu_count(logical=False) or os.cpu_count(),
        "threads": torch.get_num_threads(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "bfloat16_native": _cpu_has_bfloat16(Path("/proc/cpuinfo")),
    }


def _cpu_has_bfloat16(cpuinfo: Path) -> bool | None:
    # Only Linux tells without a further package; elsewhere it is not known.
    if not cpuinfo.is_file():
        return None
    words = set(cpuinfo.read_text(encoding="utf-8", errors="replace").split())
    return not words.isdisjoint({"avx512_bf16", "amx_bf16", "bf16"})


def _cuda() -> list[dict[str, Any]]:
    if not torch.cuda.is_available():
        return []
    return [_cuda_device(index) for index in range(torch.cuda.device_count())]


def _cuda_device(index: int) -> dict[str, Any]:
    properties = torch.cuda.get_device_properties(index)
    return {
        "name": properties.name,
        "memory": properties.total_memory,
        # Compute capability 8.0 (Ampere) brought bfloat16.
        "bfloat16_native": properties.major >= 8,
    }
