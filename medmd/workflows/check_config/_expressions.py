"""Expressions (`$…`) are read, never evaluated: they must be Python, and know the names that they use."""

from __future__ import annotations

import ast
import builtins
import warnings
from collections.abc import Iterator
from typing import Any

from monai.bundle import ConfigExpression, ReferenceResolver

from medmd.workflows.check_config._findings import Finding, Path
from medmd.workflows.check_config._merge import Merged
from medmd.workflows.check_config._near import did_you_mean, nearest
from medmd.workflows.check_config._paths import entries

# What MONAI puts before every expression.
_GIVEN = frozenset({"monai", "torch", "np", "numpy"})


def check_expressions(merged: Merged) -> None:
    """Note expressions that are no Python, and names in them that nothing gives a meaning."""
    texts = {path: text for path, text in entries(merged.config) if ConfigExpression.is_expression(text)}
    trees = {path: _parse(merged, path, text) for path, text in texts.items()}
    known = _GIVEN | set(dir(builtins)) | set(_imported(trees.values()))
    for path, tree in trees.items():
        for name in _unknown(tree, known) if isinstance(tree, ast.Expression) else ():
            what = f"nothing gives the name {name!r} a meaning"
            near = nearest(name, known - set(dir(builtins)))
            fix = did_you_mean(near) or did_you_mean(f"@{name}" if name in merged.config else None)
            fix = fix or f'write "$import {name}" into imports when it is a module'
            merged.add(Finding("error", "expression", path, what, got=repr(texts[path]), fix=fix))


def _parse(merged: Merged, path: Path, text: str) -> ast.AST | None:
    if "" in ReferenceResolver.match_refs_pattern(text):
        return None
    python = ReferenceResolver.id_matcher.sub("__reference__", ReferenceResolver.normalize_id(text))[1:]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            first = next(iter(ast.parse(python).body), None)
            if isinstance(first, (ast.Import, ast.ImportFrom)):
                return first
            return ast.parse(python, mode="eval")
    except SyntaxError as error:
        # An expression is one line; the column counts from the `$`, as long as no reference stands before it.
        column = f" at column {error.offset + 1}" if error.offset and "@" not in text else ""
        what = f"the expression is not Python: {error.msg}{column}"
    except (ValueError, MemoryError, RecursionError) as error:
        what = f"the expression cannot be read: {error}"
    merged.add(Finding("error", "expression", path, what, expected="one Python expression", got=repr(text)))
    return None


def _imported(trees: Any) -> Iterator[str]:
    for tree in trees:
        if isinstance(tree, (ast.Import, ast.ImportFrom)):
            for alias in tree.names:
                yield alias.asname or alias.name.split(".")[0]


def _unknown(tree: ast.AST, known: set[str] | frozenset[str]) -> list[str]:
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    bound = {node.id for node in names if not isinstance(node.ctx, ast.Load)}
    bound |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    loaded = {node.id for node in names if isinstance(node.ctx, ast.Load)}
    return sorted(loaded - bound - known - {"__reference__"})
