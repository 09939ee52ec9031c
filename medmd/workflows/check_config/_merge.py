"""Lays files and overrides over one another as MONAI does, and keeps where each entry came from."""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from monai.bundle import ConfigParser, ConfigWorkflow, ReferenceResolver
from monai.bundle.utils import DEFAULT_MLFLOW_SETTINGS, MERGE_KEY, merge_kv

from medmd.workflows.check_config._findings import COMMAND_LINE, Finding, Path, Place, short, show
from medmd.workflows.check_config._paths import first_missing, place_of, references
from medmd.workflows.check_config._scan import Scanned, scan_file

# Options of `python -m monai.bundle run` itself, which never reach the configuration.
RUN_OPTIONS = frozenset(inspect.signature(ConfigWorkflow.__init__).parameters) - {"self", "override"} | {"args_file"}


@dataclass
class Merged:
    """A merged configuration.

    Attributes:
        config: the raw configuration, nothing evaluated.
        places: where each entry is written.
        base: top-level settings as the first file that has them gives them.
        wanted: every path that one of the files refers to, also where another file replaced what referred to it.
        options: of MONAI's command, by name, such as `run_id`.
        patched: top-level names that MONAI adds itself.
        findings: what was wrong while merging.
        complete: whether every file could be read.
    """

    config: dict[str, Any] = field(default_factory=dict)
    places: dict[Path, Place] = field(default_factory=dict)
    base: dict[str, Any] = field(default_factory=dict)
    wanted: set[Path] = field(default_factory=set)
    options: dict[str, Any] = field(default_factory=dict)
    patched: frozenset[str] = frozenset()
    findings: list[Finding] = field(default_factory=list)
    complete: bool = True

    def place(self, path: Path) -> Place | None:
        """Where an entry, or the nearest one around it, is written."""
        return place_of(self.places, path)

    def is_override(self, path: Path) -> bool:
        """Whether the entry comes from the command line."""
        place = self.place(path)
        return place is not None and place.file == COMMAND_LINE

    def add(self, finding: Finding) -> None:
        """Keep a finding, at the place of its path unless it has one; of a wrong type the first one only."""
        if finding.kind == "wrong-type" and any(
            f.kind == "wrong-type" and f.path == finding.path for f in self.findings
        ):
            return
        self.findings.append(finding if finding.place else finding.at(self.place(finding.path)))

    def run_id(self, name: str) -> str:
        """The key that MONAI runs for `initialize`, `run` or `finalize`."""
        option = {"initialize": "init_id", "run": "run_id", "finalize": "final_id"}[name]
        return str(self.options.get(option, name))


def merge(files: Sequence[str], overrides: Mapping[str, Any]) -> Merged:
    """Merge files and overrides; what is wrong goes to the findings, and the rest is merged all the same."""
    merged = Merged()
    parser = ConfigParser(config={}, globals=False)
    for file in files:
        scanned = scan_file(file)
        merged.findings += scanned.findings
        merged.complete &= scanned.content is not None
        merged.wanted.update(*references(scanned.content).values())
        for name, value in (scanned.content or {}).items():
            _lay(merged, parser, name, value, _places_below(scanned, name))
            top = ReferenceResolver.split_id(name.removeprefix(MERGE_KEY))[0]
            merged.base.setdefault(top, copy.deepcopy(parser.config.get(top)))
    given = dict(overrides)
    merged.options = {name: given.pop(name) for name in list(given) if name in RUN_OPTIONS}
    _read_metadata(merged, parser, files)
    for name, value in _joined(merged, given).items():
        _lay(merged, parser, name, value, {(): Place(COMMAND_LINE)}, joins=False)
    if merged.options.get("tracking"):
        merged.patched = frozenset(DEFAULT_MLFLOW_SETTINGS["configs"])
    merged.config = parser.config if isinstance(parser.config, dict) else {}
    return merged


def _read_metadata(merged: Merged, parser: ConfigParser, files: Sequence[str]) -> None:
    """MONAI puts the metadata beside the first file into the configuration, as `_meta_`."""
    path = merged.options.get("meta_file") or (FilePath(files[0]).parent / "metadata.json" if files else None)
    content: dict[str, Any] = {}
    for name in path if isinstance(path, (list, tuple)) else [path]:
        if name is not None and (FilePath(name).is_file() or "meta_file" in merged.options):
            scanned = scan_file(str(name))
            merged.findings += scanned.findings
            content |= scanned.content or {}
    parser.set(content, ConfigParser.meta_key)


def _joined(merged: Merged, given: dict[str, Any]) -> dict[str, Any]:
    """The overrides as MONAI hands them over: those of value `None` are dropped on the way."""
    kept: dict[str, Any] = {}
    for name, value in given.items():
        if value is None:
            what = "MONAI drops an override whose value is None, so that the files' value stays"
            fix = f'write {{"{name}": null}} in a file that is laid over the others'
            merged.add(Finding("warning", "dropped-override", (name,), what, Place(COMMAND_LINE), fix=fix))
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            merge_kv(kept, name, value)
    return kept


def _places_below(scanned: Scanned, name: str) -> dict[Path, Place]:
    return {path[1:]: place for path, place in scanned.places.items() if path[0] == name}


def _lay(
    merged: Merged, parser: ConfigParser, name: str, value: Any, places: dict[Path, Place], *, joins: bool = True
) -> None:
    """Lay one entry over what is there."""
    is_join = joins and name.startswith(MERGE_KEY)
    path = tuple(ReferenceResolver.split_id(name[len(MERGE_KEY) :] if is_join else name))
    if path == ("",):
        what = "an empty name stands for the whole configuration, which this would replace"
        merged.add(Finding("error", "unknown-key", (), what, places.get(()), fix="name a setting"))
        return
    offset = _length(parser.get("::".join(path))) if is_join else 0
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            if is_join:
                merge_kv(parser, name, copy.deepcopy(value))
            else:
                parser[name] = copy.deepcopy(value)
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        merged.add(_not_laid(parser.config, path, value, error).at(places.get(())))
        return
    if is_join and caught:
        what = f"there is no {show(path)} to merge with; MONAI sets it instead"
        merged.add(Finding("warning", "merge", path, what, places.get(()), fix=f"write {show(path)} without +"))
    _move_places(merged, path, value, places, is_join=is_join, offset=offset)


def _length(value: Any) -> int:
    return len(value) if isinstance(value, list) else 0


def _move_places(
    merged: Merged, path: Path, value: Any, places: dict[Path, Place], *, is_join: bool, offset: int
) -> None:
    """Forget where the old entry was written, and note where the new one is."""
    replaced = [path]
    if is_join:
        replaced = [(*path, name) for name in value] if isinstance(value, dict) else []
        merged.places.setdefault(path, places[()])
    for old in [old for old in merged.places if any(old[: len(top)] == top for top in replaced)]:
        del merged.places[old]
    for below, place in places.items():
        if below and isinstance(value, list):
            below = (str(int(below[0]) + offset), *below[1:])
        if below or not is_join:
            merged.places[path + below] = place


def _not_laid(config: Any, path: Path, value: Any, error: Exception) -> Finding:
    what, near = first_missing(config, path[:-1])
    if not what:
        what = str(error.args[0]) if error.args else type(error).__name__
        what = f"cannot be set: {what}"
    return Finding("error", "unknown-key", path, what, got=short(value), fix=near)
