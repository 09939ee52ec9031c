"""The configuration that is being run, which MONAI hands to no component."""

from __future__ import annotations

import copy
import inspect
from pathlib import Path
from typing import Any, NamedTuple

from monai.bundle import ConfigParser, create_workflow

from medmd.utils import MedmdError

# Keys that MONAI reads and that say nothing about the component.
_REMARKS = ("_desc_", "_disabled_")


def active_parser() -> ConfigParser | None:
    """The parser of the bundle that is instantiating the caller, or `None` outside of a bundle.

    MONAI evaluates a configuration without telling its components about it, so that a component which must record the
    configuration has no other way than to look up the stack for the parser that called it.
    """
    frame = inspect.currentframe()
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, ConfigParser):
            return owner
        frame = frame.f_back
    return None


class Start(NamedTuple):
    """What `python -m monai.bundle run` was started with."""

    files: list[str]
    overrides: dict[str, Any]


def active_start() -> Start | None:
    """Files and overrides of the bundle that is being initialised, or `None` when it was not started by MONAI's `run`.

    MONAI merges them into one configuration and keeps neither, but the call that did so is still going on.
    """
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code is create_workflow.__code__:
            files, given = frame.f_locals.get("config_file"), frame.f_locals.get("_args")
            return Start(_as_list(files), dict(given)) if files and isinstance(given, dict) else None
        frame = frame.f_back
    return None


def _as_list(files: Any) -> list[str]:
    if isinstance(files, str) and "," in files and not Path(files).is_file():
        files = files.split(",")
    return [str(file) for file in files] if isinstance(files, (list, tuple)) else [str(files)]


def resolve_literals(config: dict[str, Any], key: str) -> Any:
    """The part `key` of a raw configuration with every `@reference` replaced by the literal that it names.

    Components that are disabled (`"_disabled_": true`) are left out, as MONAI leaves them out.

    Args:
        config: as the files and overrides give it, nothing evaluated.
        key: top-level name, or nested with `#`.

    Returns:
        Plain JSON.

    Raises:
        MedmdError: a value is an expression (`$…`), which cannot be handed over as data.
    """
    return _resolve(_at(config, key), config, key)


def _resolve(value: Any, config: dict[str, Any], where: str) -> Any:
    if isinstance(value, dict):
        kept = {name: item for name, item in value.items() if name not in _REMARKS and not _is_disabled(item)}
        return {name: _resolve(item, config, f"{where}#{name}") for name, item in kept.items()}
    if isinstance(value, list):
        kept_items = [(position, item) for position, item in enumerate(value) if not _is_disabled(item)]
        return [_resolve(item, config, f"{where}#{position}") for position, item in kept_items]
    if isinstance(value, str) and value.startswith("$"):
        msg = (
            f"{where} is the expression {value!r}, but this part is handed over with the model and must be plain JSON. "
            "Write the value itself, or a reference (@name) to one."
        )
        raise MedmdError(msg)
    if isinstance(value, str) and value.startswith("@"):
        return _resolve(_at(config, value[1:]), config, where)
    return copy.copy(value)


def _is_disabled(value: Any) -> bool:
    """Whether MONAI leaves this component out."""
    flag = value.get("_disabled_", False) if isinstance(value, dict) else False
    return flag.strip().lower() == "true" if isinstance(flag, str) else bool(flag)


def _at(config: Any, key: str) -> Any:
    found = config
    for part in key.replace("::", "#").split("#"):
        found = found[int(part)] if isinstance(found, list) else found[part]
    return found
