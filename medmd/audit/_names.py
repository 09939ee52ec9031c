"""Which classes and functions a configuration may name, told from a shipped list and from sources, not by importing."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

_CLASS = re.compile(r"^class (\w+)", re.MULTILINE)
# `LoadImageD = LoadImageDict = LoadImaged`: further names of a class.
_ALIAS = re.compile(r"^([A-Z]\w*(?: = [A-Z]\w*)+)[ \t]*$", re.MULTILINE)
_CAPITAL = re.compile(r"[A-Z]\w*")


@cache
def rules() -> dict[str, Any]:
    """The shipped list, `allowed.json`."""
    return dict(json.loads(Path(__file__).with_name("allowed.json").read_text(encoding="utf-8")))


def refusal(name: str, *, guarded: bool = True) -> str | None:
    """Why a class or function must not be named, or `None` when it may.

    Args:
        name: as a configuration has it: `LoadImaged` or a full path.
        guarded: whether classes are allowed some of whose arguments are looked at by themselves.
    """
    full = _canonical(name)
    if full is None:
        return "it is not in the list of what a bundle may name"
    listed = rules()
    if full in listed["denied"]:
        return str(listed["denied"][full])
    if not guarded and full in listed["guarded"]:
        return str(listed["guarded"][full])
    return None


def is_guarded(name: str) -> bool:
    """Whether some of the arguments of this class name code."""
    return _canonical(name) in rules()["guarded"]


def _canonical(name: str) -> str | None:
    """One name for every way to write an allowed class, such as `monai.transforms.LoadImaged` for `LoadImageD`."""
    package, _, last = name.rpartition(".")
    if name in rules()["functions"]:
        return name
    if not name.isascii() or not all(part.isidentifier() for part in name.split(".")):
        return None
    if not package or package.split(".")[0] == "monai":
        return _monai_class(package, last)
    if package in rules()["medmd_packages"]:
        return name if last in _exported(package) else None
    others = rules()["class_packages"]["torch"] + rules()["class_packages"]["ignite"]
    return name if package in others and _CAPITAL.fullmatch(last) else None


def _monai_class(package: str, name: str) -> str | None:
    modules = _monai_classes().get(name, {})
    # A bare name is the first one that MONAI finds, in whatever module: so it must be allowed in all of them.
    places = {module: target for module, target in modules.items() if _lies_in(module, package)}
    homes = {(_home(module), target) for module, target in places.items()}
    if len(homes) != 1 or None in {home for home, _ in homes}:
        return None
    ((home, target),) = homes
    return f"{home}.{target}"


def _lies_in(module: str, package: str) -> bool:
    """Whether `package.Name` leads to a class of `module`: the module itself, or a listed package that exports it."""
    if package in ("", module):
        return True
    return package in rules()["class_packages"]["monai"] and module.startswith(f"{package}.")


def _home(module: str) -> str | None:
    homes = [package for package in rules()["class_packages"]["monai"] if f"{module}.".startswith(f"{package}.")]
    return max(homes, key=len, default=None)


@cache
def _monai_classes() -> dict[str, dict[str, str]]:
    """By name of a class or of its alias: the modules that define it, and the class that is meant."""
    found: dict[str, dict[str, str]] = {}
    spec = importlib.util.find_spec("monai")
    for root in map(Path, (spec.submodule_search_locations or []) if spec else []):
        for path in root.rglob("*.py"):
            parts = [root.name, *path.relative_to(root).with_suffix("").parts]
            module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            text = path.read_text(encoding="utf-8", errors="replace")
            for name in _CLASS.findall(text):
                found.setdefault(name, {})[module] = name
            for chain in _ALIAS.findall(text):
                *aliases, name = chain.split(" = ")
                for alias in aliases:
                    found.setdefault(alias, {})[module] = name
    return found


@cache
def _exported(package: str) -> frozenset[str]:
    """The `__all__` of one of our own folders, read from its source."""
    source = Path(__file__).parents[2].joinpath(*package.split("."), "__init__.py")
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            return frozenset(ast.literal_eval(node.value))
    return frozenset()
