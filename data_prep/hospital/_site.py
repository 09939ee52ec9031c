"""The site file: what one hospital's export holds, what is wanted of it; checked whole before anything is read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from data_prep.hospital._site_sections import (
    FIELD_COLUMNS,
    IMAGE_COLUMNS,
    NEEDED_COLUMNS,
    SECTIONS,
    SHARES,
    WORDS,
    FieldRules,
    FundusRules,
    Inputs,
    OctRules,
    PairingRules,
    QualityRules,
    Split,
    Table,
)
from data_prep.hospital._site_values import UnfitError, did_you_mean, shown
from data_prep.hospital._site_yaml import Place, Problems, read_yaml
from medmd.utils import MedmdError, sha256_bytes

_Section = TypeVar("_Section")
_NAME = "hospital"


@dataclass(frozen=True, kw_only=True)
class SiteConfig:
    """A site file with every default filled in; see `docs/reference/site-file.md` for the settings.

    Args:
        name: short name of the cohort, for the datalist's header.
    """

    name: str = _NAME
    inputs: Inputs = field(default_factory=Inputs)
    pairing: PairingRules = field(default_factory=PairingRules)
    visual_field: FieldRules = field(default_factory=FieldRules)
    oct: OctRules = field(default_factory=OctRules)
    fundus: FundusRules = field(default_factory=FundusRules)
    quality: QualityRules = field(default_factory=QualityRules)
    tables: tuple[Table, ...] = ()
    split: Split = field(default_factory=Split)

    def as_json(self) -> dict[str, Any]:
        """All settings as JSON values."""
        return json.loads(json.dumps(asdict(self)))

    @property
    def digest(self) -> str:
        """SHA-256 of the settings: equal for files that mean the same, whatever their order, comments and defaults."""
        text = json.dumps(self.as_json(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return sha256_bytes(text.encode())


def load_site(path: Path, *, source: Path | None = None) -> SiteConfig:
    """Read and check a site file.

    Args:
        path: of the file, YAML in UTF-8.
        source: the export; when given, the tables' patterns and headers are looked for in it, and nothing else is read.

    Raises:
        MedmdError: anything is wrong, all of it in one text: unknown keys, values of the wrong kind, tables that are
            not there or lack a column, each with its line and the nearest match. No cell of a table is repeated.
    """
    problems = Problems()
    site = _site(read_yaml(path, problems), problems)
    if source is not None:
        from data_prep.hospital._site_tables import check_tables

        check_tables(site, source, problems)
    problems.check(path.name)
    return site


def _site(raw: Any, problems: Problems) -> SiteConfig:
    if not isinstance(raw, dict):
        problems.add((), "expected sections, each a key with its settings below it")
        return SiteConfig()
    _unknown(raw, ("name", *SECTIONS), (), problems)
    found: dict[str, Any] = {"name": _name(raw, problems)}
    for key, section in SECTIONS.items():
        if key not in raw or raw[key] is None:
            continue
        found[key] = _tables(raw[key], problems) if key == "tables" else _section(section, raw[key], (key,), problems)
    site = SiteConfig(**found)
    _check_together(site, problems)
    return site


def _name(raw: Mapping[str, Any], problems: Problems) -> str:
    name = raw.get("name", _NAME)
    if isinstance(name, str) and name.strip():
        return name.strip()
    problems.add(("name",), f"expected a text, got {shown(name)}; put it in quotes")
    return _NAME


def _tables(raw: Any, problems: Problems) -> tuple[Table, ...]:
    if not isinstance(raw, list):
        problems.add(("tables",), "expected a list, each entry beginning with `- file:`")
        return ()
    tables = []
    for number, entry in enumerate(raw):
        before = len(problems.found)
        table = _section(Table, entry, ("tables", number), problems)
        if len(problems.found) == before:
            _check_table(table, ("tables", number), problems)
        tables.append(table)
    return tuple(tables)


def _section(section: type[_Section], raw: Any, place: Place, problems: Problems) -> _Section:
    """A section of what is right in `raw`, the defaults for the rest."""
    if not isinstance(raw, dict):
        problems.add(place, f"expected settings, each `name: value`, got {shown(raw)}")
        return section()
    known = {each.name: each for each in fields(section)}  # type: ignore[arg-type]
    _unknown(raw, tuple(known), place, problems)
    values = {}
    for name, value in raw.items():
        if name in known:
            kind = known[name].metadata["kind"]
            try:
                values[name] = kind.read(value)
            except UnfitError as error:
                hint = f"; {error}" if str(error) else ""
                problems.add((*place, name), f"expected {kind.expected}, got {shown(value)}{hint}")
    return section(**values)


def _unknown(raw: Mapping[str, Any], known: Sequence[str], place: Place, problems: Problems) -> None:
    for key in raw:
        if key not in known:
            hint = did_you_mean(key, known) or "known are " + ", ".join(f"`{name}`" for name in known)
            problems.add((*place, key), f"no such setting; {hint}")


def _check_together(site: SiteConfig, problems: Problems) -> None:
    missing = [kind for kind in site.inputs.required if kind not in site.inputs.wanted]
    if missing:
        problems.add(("inputs", "required"), f"{', '.join(missing)} is required and not wanted; add it to `wanted`")
    low, high = site.visual_field.md_range
    if low >= 0 or high <= -1:
        problems.add(
            ("visual_field", "md_range"), f"expected a range about MD, negative for loss, got {low:g} to {high:g}"
        )
    try:
        site.split.options().check()
    except MedmdError as error:
        problems.add(("split",), str(error))


def _check_table(table: Table, place: Place, problems: Problems) -> None:
    for name in ("file", "kind"):
        if not getattr(table, name):
            problems.add(place, f"`{name}` is missing")
    if not table.file or not table.kind:
        return
    if _leads_out(table.file):
        problems.add((*place, "file"), "expected a place below SRC, without a leading slash, a drive or `..`")
    _check_columns(table, place, problems)
    if table.reliability_unit is None and any(name in table.columns for name in SHARES):
        problems.add(place, "`reliability_unit` is missing: are plain numbers `percent` or `fraction`?")


def _check_columns(table: Table, place: Place, problems: Problems) -> None:
    known = FIELD_COLUMNS if table.kind == "visual_fields" else IMAGE_COLUMNS
    there = {*table.columns, *table.constants}
    for name in NEEDED_COLUMNS[table.kind]:
        if name not in there:
            problems.add((*place, "columns"), f"`{name}` is missing, which {table.kind} need")
    for what in ("columns", "constants", "values"):
        for name in getattr(table, what):
            if name not in known:
                problems.add((*place, what, name), f"{table.kind} have no such column{_near(name, known)}")
    for name in table.constants:
        if name in table.columns:
            problems.add((*place, "constants", name), "stands in `columns` as well; keep one")
    for what in ("constants", "values"):
        _check_words(getattr(table, what), (*place, what), problems)
    double = [name for name, header in table.columns.items() if list(table.columns.values()).count(header) > 1]
    if double:
        problems.add((*place, "columns"), f"{', '.join(double)} have one header; each needs its own")


def _check_words(words: Mapping[str, Any], place: Place, problems: Problems) -> None:
    for name, given in words.items():
        for word in given.values() if isinstance(given, dict) else [given]:
            if word not in WORDS[name]:
                expected = ", ".join(f"`{known}`" for known in WORDS[name])
                problems.add((*place, name), f"expected one of {expected}, got {shown(word)}{_near(word, WORDS[name])}")


def _near(wrong: str, words: Sequence[str]) -> str:
    hint = did_you_mean(wrong, words)
    return f"; {hint}" if hint else ""


def _leads_out(pattern: str) -> bool:
    parts = pattern.replace("\\", "/").split("/")
    return pattern.startswith(("/", "\\")) or ".." in parts or ":" in parts[0]


def settings_table() -> str:
    """Every setting with its default, what it may be and what it means, in Markdown, for the reference page."""
    sections = []
    for key, section in SECTIONS.items():
        rows = ["| setting | default | may be | meaning |", "|---|---|---|---|"]
        for each in fields(section):
            default = each.default if each.default is not MISSING else {}
            cells = (f"`{each.name}`", _default(default), each.metadata["kind"].expected, each.metadata["doc"])
            rows.append("| " + " | ".join(cells) + " |")
        doc = (section.__doc__ or "").strip().splitlines()[0]
        sections.append(f"## `{key}`\n\n{doc}\n\n" + "\n".join(rows) + "\n")
    return "\n".join(sections)


def _default(value: Any) -> str:
    if value == "":
        return "needed"
    return f"`{json.dumps(value)}`"
