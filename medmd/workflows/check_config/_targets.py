"""Finds what a `_target_` names, without importing anything outside of a short list of packages."""

from __future__ import annotations

import builtins
import importlib.util
import pkgutil
import pydoc
import warnings
from functools import cache
from typing import Any

from monai.bundle import ComponentLocator

from medmd.workflows.check_config._near import did_you_mean, nearest

# Importing these runs no code but that of libraries which a bundle of ours imports anyway.
TRUSTED = ("medmd", "monai", "torch", "ignite")
_CLOSE = 0.8


class NotLocatedError(Exception):
    """There is no such target; the arguments are what is missing, and what may have been meant."""


@cache
def locate(target: str) -> Any:
    """The class or function that MONAI would call, or `None` when the target is not looked at.

    Args:
        target: a dotted path, or the bare name of a MONAI component.

    Raises:
        NotLocatedError: it does not exist.
    """
    root, *parts = target.split(".")
    if not parts:
        return _bare(target)
    if root not in TRUSTED:
        near = nearest(root, TRUSTED, _CLOSE)
        if near and _is_absent(root):
            msg = f"there is no package {root!r}"
            raise NotLocatedError(msg, did_you_mean(".".join([near, *parts])))
        return None
    if any(part.startswith("__") for part in parts):
        return None
    return _dotted(target)


def _bare(name: str) -> Any:
    table = _monai_names()
    if name in table:
        return _quietly(f"{table[name][0]}.{name}")
    if hasattr(builtins, name) or not _is_absent(name):
        return None
    near = nearest(name, table)
    msg = f"MONAI has no component {name!r}"
    raise NotLocatedError(msg, did_you_mean(near))


@cache
def _monai_names() -> dict[str, list[str]]:
    locator = ComponentLocator()
    locator.get_component_module_name("")
    return locator._components_table or {}


def _dotted(target: str) -> Any:
    found = _quietly(target)
    if found is not None:
        return found
    parts = target.split(".")
    for length in range(len(parts) - 1, 0, -1):
        above = _quietly(".".join(parts[:length]))
        if above is not None:
            near = nearest(parts[length], _names_in(above))
            meant = ".".join([*parts[:length], near, *parts[length + 1 :]]) if near else None
            msg = f"{'.'.join(parts[:length])} has no {parts[length]!r}"
            raise NotLocatedError(msg, did_you_mean(meant))
    msg = f"there is no package {parts[0]!r}"
    raise NotLocatedError(msg, "")


def _names_in(owner: Any) -> list[str]:
    modules = [module.name for module in pkgutil.iter_modules(getattr(owner, "__path__", None) or [])]
    return [name for name in {*dir(owner), *modules} if not name.startswith("_")]


def _quietly(path: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return pydoc.locate(path)
        except (pydoc.ErrorDuringImport, Exception):  # noqa: BLE001 - an import may raise anything
            return None


def _is_absent(root: str) -> bool:
    try:
        return root.isidentifier() and importlib.util.find_spec(root) is None
    except (ValueError, ImportError):
        return False
