"""The plan that a folder of runs belongs to: another one is refused unless it leaves what has runs as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from medmd.benchmark._plan import Plan
from medmd.benchmark._work import Work
from medmd.data import load_datalist
from medmd.utils import MedmdError, read_json, sha256_file, write_json

# What may change between two starts: it changes no run.
_FREE = ("title", "label_title", "target")


def open_work(work: Work, plan: Plan, datalists: Mapping[str, Path]) -> None:
    """Write the plan into the folder of its runs, or see that it continues what is there.

    Args:
        work: the folder.
        plan: what is to be compared.
        datalists: by data set, those that are at hand; their digests and their targets' names are kept.

    Raises:
        MedmdError: the folder holds runs of another plan; the text names what differs.
    """
    before, content = check_same_plan(work, plan, datalists)
    if content != before:
        write_json(work.plan, content)


def check_same_plan(
    work: Work, plan: Plan, datalists: Mapping[str, Path]
) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """The plan that a folder holds, if any, and the one that it is to hold; nothing is written.

    Raises:
        MedmdError: the folder holds runs of another plan; the text names what differs.
    """
    content = _plain(plan.to_dict())
    before = read_json(work.plan) if work.plan.is_file() else None
    known = {each["name"]: each for each in (before or {}).get("datasets", ())}
    for dataset in content["datasets"]:
        path, there = datalists.get(dataset["name"]), known.get(dataset["name"], {})
        digest = there.get("datalist_sha256") if path is None else sha256_file(path)
        dataset |= {"datalist_sha256": digest, "target": there.get("target")}
        # A datalist with long vectors takes seconds to read: once for each file.
        if path is not None and (dataset["target"] is None or digest != there.get("datalist_sha256")):
            dataset["target"] = _target(path)
    differing = [] if before is None else list(_differences(before, content, _begun(work)))
    if differing:
        lines = "\n".join(f"  {line}" for line in differing[:10])
        msg = (
            f"{work.root}: holds runs of another plan. Data sets and methods that have runs must stay as they were "
            f"planned; data sets, methods and seeds may be added.\n{lines}\nChoose another folder with --work."
        )
        raise MedmdError(msg)
    return before, content


def _target(datalist: Path) -> dict[str, str]:
    """Name and unit of what is predicted, for tables and figures."""
    target = load_datalist(datalist).header.target
    return {"name": target.name, "unit": target.unit}


def _begun(work: Work) -> dict[str, set[str]]:
    """The data sets and methods that have runs or searches."""
    found = [path for kind in ("runs", "tuning") for path in (work.root / kind).glob("*/*")]
    return {"datasets": {path.parent.name for path in found}, "methods": {path.name for path in found}}


def _differences(before: Mapping[str, Any], now: Mapping[str, Any], begun: Mapping[str, set[str]]) -> Iterator[str]:
    for name in ("format", "name", "tuning"):
        if before.get(name) != now.get(name):
            yield f"{name}: was {_short(before.get(name))}, is {_short(now.get(name))}"
    yield from _fewer("seeds", before["seeds"], now["seeds"])
    for what in ("datasets", "methods"):
        here = {each["name"]: each for each in now[what]}
        # A row of another method's runs has none of its own, and may be changed without a run too many or too few.
        for each in (each for each in before[what] if each["name"] in begun[what]):
            where = f"{what}, {each['name']}"
            if each["name"] not in here:
                yield f"{where}: is no longer there"
            else:
                yield from _changed(where, each, here[each["name"]])


def _changed(where: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for name, value in before.items():
        other = now.get(name)
        if name in _FREE or value == other or (name == "datalist_sha256" and value is None):
            continue
        # Of the labels, core alone changes what is run: its settings are searched.
        if name == "label" and "core" not in (value, other):
            continue
        if name in ("seeds", "datasets") and value is not None:
            # None stands for all.
            if other is not None or name == "seeds":
                yield from _fewer(f"{where}: {name}", value, other or ())
        else:
            yield f"{where}: {name} was {_short(value)}, is {_short(other)}"


def _fewer(where: str, before: Any, now: Any) -> Iterator[str]:
    gone = [each for each in before if each not in now]
    if gone:
        yield f"{where}: {gone} are no longer there"


def _plain(content: Mapping[str, Any]) -> dict[str, Any]:
    """As it will be read back."""
    found: dict[str, Any] = json.loads(json.dumps(content))
    return found


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
