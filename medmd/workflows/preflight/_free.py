"""How much memory is free for this process, containers included."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

_CGROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")
_SHARED = Path("/dev/shm")  # noqa: S108 - only asked for its size
# Without a limit, version 1 gives a number near 2**63.
_NO_LIMIT = 1 << 60


@dataclass(frozen=True, kw_only=True)
class Free:
    """Free memory.

    Args:
        number: bytes.
        where: whose memory it is, for a person.
    """

    number: int
    where: str


def host_memory(*, cgroups: Path = _CGROUPS, membership: Path = _MEMBERSHIP) -> Free:
    """What this process can still take: of the machine, or of its container when that has less.

    Args:
        cgroups: where the kernel shows control groups.
        membership: file that names those of this process.
    """
    machine = Free(number=psutil.virtual_memory().available, where="on this machine")
    return min([machine, *_limits(cgroups, membership)], key=lambda free: free.number)


def device_memory(device: torch.device) -> Free | None:
    """Free memory of a CUDA device; None for others, which use the host's."""
    if device.type != "cuda":
        return None
    return Free(number=int(torch.cuda.mem_get_info(device)[0]), where=f"on {device}")


def shared_memory(folder: Path = _SHARED) -> int | None:
    """Free bytes where worker processes hand over batches; None where there is no such folder."""
    return psutil.disk_usage(str(folder)).free if folder.is_dir() else None


def _limits(cgroups: Path, membership: Path) -> Iterator[Free]:
    """Every limit that holds for this process, version 1 and 2, of its own group and those above it."""
    for root, own, names in _groups(cgroups, membership):
        # Inside a container the own path may not exist: then the root is the container's group.
        for folder in (root / own, *(root / own).parents):
            free = _left(folder, *names)
            if free is not None:
                yield Free(number=free, where="within the memory limit of this container or job")
            if folder == root:
                break


def _groups(cgroups: Path, membership: Path) -> Iterator[tuple[Path, str, tuple[str, str]]]:
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            yield cgroups / "memory", path.lstrip("/"), ("memory.limit_in_bytes", "memory.usage_in_bytes")
        elif not controllers:
            yield cgroups, path.lstrip("/"), ("memory.max", "memory.current")


def _left(folder: Path, limit_name: str, usage_name: str) -> int | None:
    try:
        limit = (folder / limit_name).read_text().strip()
        used = int((folder / usage_name).read_text())
        statistics = (folder / "memory.stat").read_text()
    except (OSError, ValueError):
        return None
    if not limit.isdigit() or int(limit) > _NO_LIMIT:
        return None
    # Cached files count as used, but give way.
    found = re.search(r"^(?:total_)?inactive_file (\d+)$", statistics, flags=re.MULTILINE)
    return max(0, int(limit) - used + (int(found[1]) if found else 0))
