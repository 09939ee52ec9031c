"""Everything in configuration files that MONAI would evaluate, call, import or read from elsewhere."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from medmd.audit._entries import ALLOWED, FINDING, NOTE, Entry
from medmd.audit._expressions import (
    GLOBALS,
    RELATIVE,
    as_monai_reads,
    import_of,
    imported_names,
    is_among,
    plain_path,
    problems_of_expression,
    problems_of_import,
)
from medmd.audit._names import is_guarded, refusal, rules
from medmd.audit._nodes import Node

_FILE = re.compile(r"(.*\.(json|yaml|yml))(?=::|$)", re.IGNORECASE)
_MERGED = re.compile(r"(^|::)<<(::\d+)?(?=::|$)")


@dataclass(frozen=True)
class Spot:
    """A node and where it stands.

    Attributes:
        file: name of the file.
        place: keys and positions, with `::` between them, as MONAI numbers them.
        node: what stands there.
        is_alias: whether it stood elsewhere already, and holds references relative to its place.
    """

    file: str
    place: str
    node: Node
    is_alias: bool = False

    @property
    def key(self) -> str:
        """The last key. A top-level key may name a place further in, and ask to merge (`+`)."""
        return self.place.rpartition("::")[2].lstrip("+")

    def entry(self, verdict: str, kind: str, reason: str = "") -> Entry:
        """What is told of it."""
        text = self.node.text if self.node.text is not None else self.node.literal or f"({self.node.kind})"
        return Entry(verdict, kind, self.file, self.place.replace("::", "#"), self.node.line, text, reason)


class Configs:
    """The configuration files of a bundle, which may be laid over one another in any order.

    Args:
        files: the tree of each by its name.
    """

    def __init__(self, files: dict[str, Node]) -> None:
        self.files = files
        self.spots = [spot for name, node in files.items() for spot in _spots(name, node)]
        self.by_place: dict[str, list[Spot]] = {}
        for spot in self.spots:
            self.by_place.setdefault(_plain(spot.place), []).append(spot)
        self.imported: dict[str, str] = {}
        self.twofold: set[str] = set()
        for spot in self.spots:
            self._note_import(spot)

    def entries(self) -> Iterator[Entry]:
        """What is told, in the order of the files and of their lines."""
        for spot in self.spots:
            if spot.is_alias:
                yield spot.entry(FINDING, "alias", "repeats references that mean something else at each place")
                continue
            if spot.node.code_tag:
                yield spot.entry(
                    FINDING, "tag", f"{spot.node.code_tag.rpartition(':')[2]} asks YAML for a Python object"
                )
            if spot.key == "_target_":
                yield self._target(spot)
            elif spot.key in rules()["arguments"]:
                yield from self._argument(spot)
            elif _is(spot.node, "$"):
                yield self._expression(spot)
            if _is(spot.node, "%"):
                yield self._macro(spot)
            elif spot.node.text is not None and spot.node.text.lstrip() != spot.node.text and _begins(spot.node.text):
                yield spot.entry(
                    NOTE, "text", "looks like an expression; with a space in front MONAI takes it as a text"
                )

    def _note_import(self, spot: Spot) -> None:
        text = spot.node.text or ""
        statement = import_of(as_monai_reads(spot.place, text)) if text.startswith("$") else None
        for name, full in imported_names(statement).items() if statement else ():
            if self.imported.setdefault(name, full) != full or GLOBALS.get(name, full) != full:
                self.twofold.add(name)

    def _expression(self, spot: Spot) -> Entry:
        text = as_monai_reads(spot.place, spot.node.text or "")
        statement = import_of(text)
        if statement is not None:
            problems = problems_of_import(statement)
            problems += [f"gives {name} two meanings" for name in imported_names(statement) if name in self.twofold]
            return spot.entry(FINDING if problems else ALLOWED, "import", "; ".join(problems))
        problems = problems_of_expression(text, self.imported)
        return spot.entry(FINDING if problems else ALLOWED, "expression", "; ".join(problems))

    def _target(self, spot: Spot) -> Entry:
        name = self._named(spot)
        if name is None:
            return spot.entry(FINDING, "target", "what it names is decided while it runs")
        reason = refusal(name)
        if reason is None and is_guarded(name) and self._is_handed_on(spot):
            reason = "with this _mode_ its arguments come from elsewhere"
        return spot.entry(ALLOWED if reason is None else FINDING, "target", reason or "")

    def _named(self, spot: Spot) -> str | None:
        """The name that a `_target_` is; `None` where another entry or an expression decides."""
        text = spot.node.text
        if text is None or text.startswith(("@", "%")):
            return None
        return plain_path(text[1:]) if text.startswith("$") else text

    def _is_handed_on(self, spot: Spot) -> bool:
        return any(mode.node.text != "default" for mode in self._beside(spot, "_mode_"))

    def _beside(self, spot: Spot, key: str) -> list[Spot]:
        above = spot.place.rpartition("::")[0]
        return self.by_place.get(_plain(f"{above}::{key}" if above else key), [])

    def _argument(self, spot: Spot) -> Iterator[Entry]:
        allowed = rules()["arguments"][spot.key]
        node = spot.node
        if node.kind == "mapping":
            # An object that is built here; its own _target_ is judged where it stands.
            return
        parts = node.items if node.kind == "list" else [node]
        bad = [part for part in parts if not is_among(_literal(part), allowed)]
        if bad:
            yield spot.entry(FINDING, "setting", f"expected one of {allowed}")
        elif node.text == "callable" and not any(other.file == spot.file for other in self._beside(spot, "_target_")):
            yield spot.entry(FINDING, "setting", "says how something is called that stands elsewhere")

    def _macro(self, spot: Spot) -> Entry:
        file = _FILE.match(_absolute(spot.place, spot.node.text or ""))
        if file is None or self._file_named(file[1]):
            return spot.entry(ALLOWED, "macro")
        return spot.entry(FINDING, "macro", "brings in a file that is not among those that are audited")

    def _file_named(self, path: str) -> str | None:
        """The audited file that a macro means; the folder in which MONAI is started is not known here."""
        wanted = posixpath.normpath(path)
        if wanted.startswith(("/", "..", "~")) or "\\" in wanted or ":" in wanted:
            return None
        fitting = [name for name in self.files if name == wanted or name.endswith(f"/{wanted}")]
        return fitting[0] if len(fitting) == 1 else None


def _spots(file: str, root: Node) -> Iterator[Spot]:
    """Every node once for each role that it plays; an alias of YAML may play several."""
    waiting = [Spot(file, "", root)]
    seen: set[tuple[int, str]] = set()
    while waiting:
        spot = waiting.pop()
        role = spot.key if spot.key in rules()["arguments"] or spot.key == "_target_" else ""
        if (id(spot.node), role) in seen:
            if _has_relative(spot.node, set()):
                yield Spot(file, spot.place, spot.node, is_alias=True)
            continue
        seen.add((id(spot.node), role))
        yield spot
        below = [(key.text if key.text is not None else key.literal, value) for key, value in spot.node.pairs]
        below += [(str(number), item) for number, item in enumerate(spot.node.items)]
        names = [(f"{spot.place}::{name}" if spot.place else name, value) for name, value in below]
        waiting.extend(Spot(file, name.replace("#", "::"), value) for name, value in reversed(names))


def _has_relative(node: Node, seen: set[int]) -> bool:
    """Whether a reference relative to its place (`@##name`) is below; each node is looked at once."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if node.text is not None and RELATIVE.search(node.text.replace("#", "::")):
            return True
        waiting += [value for _, value in node.pairs] + node.items
    return False


def _absolute(place: str, text: str) -> str:
    """What a macro refers to, a relative one from the root."""
    value = text.replace("#", "::")[1:]
    if not value.startswith("::"):
        return value
    rest = value.lstrip(":")
    count = (len(value) - len(rest)) // 2
    return "::".join([*place.split("::")[:-count], rest])


def _plain(place: str) -> str:
    # `<<` of YAML lays another mapping below this one.
    return _MERGED.sub("", place.replace("#", "::").lstrip("+"))


def _literal(node: Node) -> object:
    if node.text is not None:
        return node.text
    return {"true": True, "false": False, "null": None, "~": None}.get(node.literal.lower(), node.literal)


def _is(node: Node, sign: str) -> bool:
    return node.text is not None and node.text.startswith(sign)


def _begins(text: str) -> bool:
    return text.lstrip().startswith("$")
