"""Puts the content that `%file::key` and relative names such as `@#name` stand for in their place."""

from __future__ import annotations

import copy
import re
from typing import Any

from monai.bundle import ConfigParser
from monai.bundle.utils import MACRO_KEY

from medmd.workflows.check_config._findings import Finding, Path
from medmd.workflows.check_config._merge import Merged
from medmd.workflows.check_config._paths import first_missing
from medmd.workflows.check_config._scan import scan_file


def resolve_macros(merged: Merged) -> None:
    """Replace macros and relative names in the merged configuration, as MONAI does before it evaluates anything."""
    merged.config = _resolve(merged, merged.config, ())


def _resolve(merged: Merged, value: Any, path: Path) -> Any:
    if isinstance(value, dict):
        # One after the other and in place: a macro sees what the entries before it became.
        for name, item in value.items():
            value[name] = _resolve(merged, item, (*path, str(name)))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            value[number] = _resolve(merged, item, (*path, str(number)))
    elif isinstance(value, str):
        return _resolve_text(merged, value, path)
    return value


def _resolve_text(merged: Merged, text: str, path: Path) -> Any:
    try:
        value = ConfigParser.resolve_relative_ids("::".join(path), text)
    except (ValueError, re.error):
        what = "a relative name goes up further than the configuration"
        merged.add(Finding("error", "unresolved-reference", path, what, got=repr(text)))
        return text
    return _content(merged, value, path) if value.startswith(MACRO_KEY) else value


def _content(merged: Merged, macro: str, path: Path) -> Any:
    file, key = ConfigParser.split_path_id(macro[len(MACRO_KEY) :])
    source: Any = merged.config
    if file:
        scanned = scan_file(file)
        if scanned.content is None:
            reason = scanned.findings[-1].what
            fix = "the path counts from the working directory"
            merged.add(Finding("error", "absent-file", path, f"the macro's file {file} {reason}", fix=fix))
            return macro
        source = scanned.content
    parts = tuple(key.split("::")) if key else ()
    what, near = first_missing(source, parts)
    if what:
        merged.add(Finding("error", "unresolved-reference", path, f"macro: {what}", got=repr(macro), fix=near))
        return macro
    return copy.deepcopy(ConfigParser(config=source, globals=False)[key])
