"""Puts the checks together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medmd.workflows.check_config._bundle import check_bundle
from medmd.workflows.check_config._components import check_components
from medmd.workflows.check_config._expressions import check_expressions
from medmd.workflows.check_config._files import check_files
from medmd.workflows.check_config._findings import ConfigReport, Finding
from medmd.workflows.check_config._macros import resolve_macros
from medmd.workflows.check_config._merge import Merged, merge
from medmd.workflows.check_config._near import did_you_mean, nearest
from medmd.workflows.check_config._references import check_references
from medmd.workflows.check_config._settings import check_settings_types
from medmd.workflows.check_config._unused import check_unused


def check_config(files: Sequence[str], overrides: Mapping[str, Any] | None = None) -> ConfigReport:
    """Check a configuration without running it: nothing in it is evaluated, called or built.

    The files are merged as MONAI merges them. Classes that a `_target_` names are imported to read their signatures,
    when they belong to medmd, monai, torch or ignite; others are noted as not checked.

    Args:
        files: configuration files, JSON or YAML, later ones over earlier ones.
        overrides: name → value, as `monai.bundle.run` takes them; names go down with `#` or `::`.

    Returns:
        All findings. A file that is no JSON or YAML at all hides what depends on the whole configuration.
    """
    merged = merge(list(files), overrides or {})
    if merged.complete:
        resolve_macros(merged)
        _check_merged(merged)
    return ConfigReport(list(files), merged.findings)


def check_content(config: dict[str, Any]) -> ConfigReport:
    """Check types and values in a configuration that is there already; it is neither changed nor evaluated."""
    merged = Merged(config=config)
    _check_content(merged)
    return ConfigReport([], merged.findings)


def _check_merged(merged: Merged) -> None:
    is_whole = merged.run_id("run") in merged.config
    if is_whole:
        check_references(merged)
        check_unused(merged)
    else:
        _note_no_run(merged)
    check_expressions(merged)
    check_files(merged)
    _check_content(merged)


def _check_content(merged: Merged) -> None:
    # First, because of one wrong type only what is found first is told, and this knows what was meant.
    check_settings_types(merged)
    check_components(merged)
    check_bundle(merged)


def _note_no_run(merged: Merged) -> None:
    name = merged.run_id("run")
    near = nearest(name, merged.config, 0.8)
    fix = did_you_mean(near) or "name the file that this is laid over first, such as bundles/remd/train.json"
    what = f"there is no {name!r}, so that MONAI has nothing to run; references were not followed"
    merged.add(Finding("error", "nothing-to-run", (near,) if near else (), what, fix=fix))
