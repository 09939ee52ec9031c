"""Settings that nothing uses: most often a slip of the pen, which MONAI takes without a word."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from monai.bundle import ConfigComponent
from monai.bundle.properties import InferProperties, TrainProperties
from monai.bundle.utils import DEFAULT_HANDLERS_ID

from medmd.workflows.check_config._findings import Finding, Level, Path, show
from medmd.workflows.check_config._merge import Merged
from medmd.workflows.check_config._near import did_you_mean, nearest
from medmd.workflows.check_config._paths import references

# The keys by which MONAI and its tools find the parts of a bundle.
_TOOLS = frozenset(
    tuple(path.split("::"))
    for path in [
        *(str(item["id"]).replace("#", "::") for item in (*TrainProperties.values(), *InferProperties.values())),
        *(key.replace("#", "::") for item in DEFAULT_HANDLERS_ID.values() for key in item.values()),
        "imports",
        "network_def",
    ]
)
_STEPS = frozenset({("initialize",), ("run",), ("finalize",)})
_CLOSE = 0.8


def check_unused(merged: Merged) -> None:
    """Note settings that nothing refers to.

    An override is refused. A setting of a file is refused when it resembles one that is used, and only named otherwise:
    an overlay may have no use for a setting of the file below it.
    """
    used = merged.wanted | {target for named in references(merged.config).values() for target in named}
    used |= _TOOLS | _STEPS | {(merged.run_id(name),) for (name,) in _STEPS}
    used |= {(name,) for name in merged.patched}
    for path, siblings in _unused(merged.config, used, ()):
        near = nearest(path[-1], siblings, _CLOSE)
        is_override = merged.is_override(path)
        level: Level = "error" if near or is_override else "warning"
        fix = did_you_mean(near and show((*path[:-1], near)))
        if is_override and not fix:
            near = nearest(path[-1], siblings)
            fix = did_you_mean(near and show((*path[:-1], near))) or "leave it out"
        what = "nothing uses a setting of this name"
        merged.add(Finding(level, "unused-setting", path, what, fix=fix or "remove it, or begin its name with _"))


def _unused(value: dict[str, Any], used: set[Path], path: Path) -> Iterator[tuple[Path, set[str]]]:
    """Entries of plain dictionaries that nothing refers to, each with the names beside it that are used."""
    parts = {target[: len(path) + 1] for target in used if len(target) > len(path)}
    siblings = {part[-1] for part in parts if part[:-1] == path}
    for name, item in value.items():
        here = (*path, str(name))
        if here in used or str(name).startswith("_"):
            continue
        if here in parts:
            if isinstance(item, dict) and not ConfigComponent.is_instantiable(item):
                yield from _unused(item, used, here)
        else:
            yield here, siblings
