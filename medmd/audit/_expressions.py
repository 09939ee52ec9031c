"""Whether an expression of a configuration can do harm, told from its syntax tree; nothing is evaluated.

An expression passes when it consists of allowed pieces alone: literals, references to other entries, operators, loops
over them, a short list of Python's functions, the names that `_names` allows, and attributes of a list. No list of what
is dangerous is needed, which could be incomplete.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Mapping
from typing import Any

from medmd.audit._names import refusal, rules

# What MONAI has in reach of every expression (`_default_globals` of its ConfigParser).
GLOBALS = {"monai": "monai", "torch": "torch", "np": "numpy", "numpy": "numpy"}
_REFERENCES = "__local_refs"
_REFERENCE = re.compile(r"@(?:\w*)(?:::\w*)*")
RELATIVE = re.compile(r"(?:@|%)(?:::)+")
_PLAIN = (
    ast.Expression, ast.Constant, ast.Load, ast.Store, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp,
    ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.Slice, ast.List, ast.Tuple, ast.Dict, ast.Set, ast.ListComp,
    ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.comprehension, ast.JoinedStr, ast.FormattedValue, ast.Starred,
    ast.Lambda, ast.arguments, ast.arg,
)  # fmt: skip
_MOST_POWER = 64


def as_monai_reads(place: str, text: str) -> str:
    """The Python of an expression after MONAI has put its references in.

    MONAI replaces them in the text, also inside of quotes and with names that the configuration chooses, and only then
    parses it. What is judged must be that text: `'@f{open("x")}'` is a harmless string here and an f-string there.

    Args:
        place: of the expression in the configuration, with `::`, for relative references.
        text: as it is written, `$` included.
    """
    value = text.replace("#", "::")
    levels = place.split("::")
    for prefix in sorted(set(RELATIVE.findall(value)), reverse=True):
        count = prefix.count("::")
        above = levels[:-count] if count < len(levels) else []
        value = value.replace(prefix, prefix[0] + ("::".join(above) + "::" if above else ""))
    for reference in sorted(_REFERENCE.findall(value), key=len, reverse=True):
        value = value.replace(reference, f"{_REFERENCES}['{reference[1:]}']")
    return value[1:]


def import_of(text: str) -> ast.Import | ast.ImportFrom | None:
    """The import that an expression is, or `None`; whatever follows the first statement MONAI ignores."""
    try:
        statements = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    first = statements[0] if statements else None
    return first if isinstance(first, (ast.Import, ast.ImportFrom)) else None


def imported_names(statement: ast.Import | ast.ImportFrom) -> dict[str, str]:
    """By name in expressions: what an import binds. MONAI takes the first name of the statement alone."""
    alias = statement.names[0]
    if isinstance(statement, ast.ImportFrom):
        return {alias.asname or alias.name: f"{statement.module}.{alias.name}"}
    if alias.asname:
        return {alias.asname: alias.name}
    return {alias.name.split(".")[0]: alias.name.split(".")[0]}


def problems_of_import(statement: ast.Import | ast.ImportFrom) -> list[str]:
    """Why something must not be imported; empty when it may."""
    alias, allowed = statement.names[0], rules()["imports"]
    if isinstance(statement, ast.Import):
        return [] if alias.name in allowed else [f"imports {alias.name}, which runs what it holds"]
    full = f"{statement.module}.{alias.name}"
    if statement.module in allowed and (full in allowed or refusal(full, guarded=False) is None):
        return []
    return [f"imports {full}, which runs what {statement.module} holds"]


def problems_of_expression(text: str, imported: Mapping[str, str]) -> list[str]:
    """Why an expression must not be evaluated; empty when it may.

    Args:
        text: Python, as `as_monai_reads` gives it.
        imported: what the configuration's imports bind.
    """
    try:
        tree = ast.parse(text.lstrip(" \t"), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return [f"is no expression that Python can read ({type(error).__name__})"]
    judge = _Judge({**GLOBALS, **imported}, _bound(tree))
    try:
        judge.visit(tree)
    except RecursionError:
        return ["is nested too deeply"]
    return list(dict.fromkeys(judge.problems))


def plain_path(text: str) -> str | None:
    """The dotted name that an expression is and nothing else, such as `torch.nn.ReLU`."""
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    root, attributes = _chain(node)
    if not isinstance(root, ast.Name) or root.id not in GLOBALS:
        return None
    return ".".join([GLOBALS[root.id], *attributes])


def _bound(tree: ast.AST) -> set[str]:
    stored = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return stored | {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}


def _chain(node: ast.expr) -> tuple[ast.expr, list[str]]:
    """What a chain of attributes begins with, and the attributes in order."""
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.insert(0, node.attr)
        node = node.value
    return node, attributes


class _Judge(ast.NodeVisitor):
    """Collects what is not allowed."""

    def __init__(self, modules: Mapping[str, str], bound: set[str]) -> None:
        self.modules = modules
        self.bound = bound
        self.problems: list[str] = []
        for name in sorted(bound):
            if hasattr(builtins, name) or name in modules or name.startswith("_"):
                self.problems.append(f"gives the name {name} another meaning")

    def generic_visit(self, node: ast.AST) -> None:
        """Whatever kind of node has no method of its own."""
        if not isinstance(node, _PLAIN):
            self.problems.append(f"uses {type(node).__name__}")
        super().generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        """A name alone, without attributes."""
        if node.id in self.bound or node.id in rules()["builtins"]:
            return
        if node.id in self.modules and self.modules[node.id].rpartition(".")[0]:
            self._full_name(self.modules[node.id])
        elif node.id in self.modules:
            self.problems.append(f"hands on the module {node.id}")
        else:
            self.problems.append(f"uses {node.id}")

    def visit_Subscript(self, node: ast.Subscript) -> None:
        """An element, or a reference."""
        if not _is_reference(node):
            self.visit(node.value)
        self.visit(node.slice)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """A chain of attributes, judged as a whole."""
        root, attributes = _chain(node)
        if isinstance(root, ast.Name) and root.id in self.modules and root.id not in self.bound:
            attributes = self._allowed_beginning(self.modules[root.id], attributes)
        else:
            self.visit(root)
        for name in attributes:
            if name not in rules()["attributes"]:
                self.problems.append(f"uses the attribute .{name}")

    def visit_Call(self, node: ast.Call) -> None:
        """A call: what is called is judged as anything else, some arguments by their names."""
        if self._is_bare_method(node):
            self.visit(node.func.value)  # type: ignore[attr-defined]
        else:
            self.visit(node.func)
        for argument in node.args:
            self.visit(argument)
        for keyword in node.keywords:
            self._keyword(keyword)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        """Powers and shifts of any size would take the machine's time and memory."""
        if isinstance(node.op, (ast.Pow, ast.LShift)) and not _is_small(node.right):
            self.problems.append("raises to a power that may be huge")
        self.generic_visit(node)

    def _keyword(self, keyword: ast.keyword) -> None:
        if keyword.arg is None:
            self.problems.append("hands on arguments that are not written out")
        elif keyword.arg in rules()["arguments"]:
            allowed = rules()["arguments"][keyword.arg]
            value = keyword.value.value if isinstance(keyword.value, ast.Constant) else ...
            if not is_among(value, allowed):
                self.problems.append(f"sets {keyword.arg} to something else than one of {allowed}")
        self.visit(keyword.value)

    def _is_bare_method(self, node: ast.Call) -> bool:
        is_listed = isinstance(node.func, ast.Attribute) and node.func.attr in rules()["attributes_without_arguments"]
        return is_listed and not node.args and not node.keywords

    def _allowed_beginning(self, module: str, attributes: list[str]) -> list[str]:
        """Of a chain that begins with a module: the attributes behind its longest allowed part."""
        for length in range(len(attributes), 0, -1):
            if refusal(".".join([module, *attributes[:length]]), guarded=False) is None:
                return attributes[length:]
        if refusal(module, guarded=False) is None:
            return attributes
        self._full_name(".".join([module, *attributes]))
        return []

    def _full_name(self, name: str) -> None:
        reason = refusal(name, guarded=False)
        if reason is not None:
            self.problems.append(f"uses {name}: {reason}")


def _is_small(node: ast.expr) -> bool:
    try:
        size = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError):
        return False
    return isinstance(size, (int, float)) and size <= _MOST_POWER


def is_among(value: Any, allowed: list[Any]) -> bool:
    """Whether a value is one of these; `1` is not `true`."""
    return any(type(value) is type(other) and value == other for other in allowed)


def _is_reference(node: ast.Subscript) -> bool:
    is_table = isinstance(node.value, ast.Name) and node.value.id == _REFERENCES
    return is_table and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str)
