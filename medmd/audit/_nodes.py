"""A configuration file as a tree that remembers the line of each entry, without building anything from it."""

from __future__ import annotations

import bisect
import json
import re
from dataclasses import dataclass, field
from typing import Any

MOST_JSON_BYTES = 16 << 20
# The reader of YAML is slow: this much takes some ten seconds.
MOST_YAML_BYTES = 1 << 20
_TOKEN = re.compile(r'[\s,:]*("|[{}\[\]]|[^\s,:{}\[\]"]+)')
_MOST_DEPTH = 200
_DECODER = json.JSONDecoder()
_CODE_TAG = "tag:yaml.org,2002:python/"


class UnreadableError(ValueError):
    """A file that MONAI could not read either, or one beyond the limits of this audit."""


@dataclass(eq=False)
class Node:
    """One entry.

    Attributes:
        line: counted from 1.
        text: of a text; `None` for everything else.
        pairs: of a mapping, in order, repeated keys included.
        items: of a list.
        kind: `text`, `mapping`, `list` or `other` (numbers, truth values, null).
        literal: of `other`, as it is written.
        code_tag: a YAML tag that asks for a Python object, which no safe reader obeys.
    """

    line: int
    kind: str
    text: str | None = None
    literal: str = ""
    pairs: list[tuple[Node, Node]] = field(default_factory=list)
    items: list[Node] = field(default_factory=list)
    code_tag: str = ""


def read_nodes(name: str, content: bytes) -> Node:
    """The tree of a JSON or YAML file.

    Args:
        name: whose ending tells which.
        content: of the file.

    Raises:
        UnreadableError: it is neither UTF-8 nor well-formed, or too large, or nested too deeply.
    """
    is_json = name.lower().endswith(".json")
    most = MOST_JSON_BYTES if is_json else MOST_YAML_BYTES
    if len(content) > most:
        msg = f"larger than {most} bytes"
        raise UnreadableError(msg)
    try:
        text = content.decode("utf-8")
        return _json(text) if is_json else _yaml(text)
    except RecursionError as error:
        msg = "nested too deeply"
        raise UnreadableError(msg) from error
    except (ValueError, ArithmeticError) as error:
        raise UnreadableError(str(error).replace("\n", " ")[:200]) from error


def _json(text: str) -> Node:
    # Python's reader decides what is JSON, so that both agree; this one only adds the lines.
    json.loads(text)
    lines = [match.end() for match in re.finditer("\n", text)]
    root = Node(1, "list")
    open_nodes, position = [root], 0
    # Of each open mapping the key whose value has not come yet.
    pending: list[Node | None] = [None]
    while match := _TOKEN.match(text, position):
        piece, position = match[1], match.end()
        if piece in "}]":
            open_nodes.pop()
            pending.pop()
            continue
        node = Node(bisect.bisect_right(lines, match.start(1)) + 1, "other", literal=piece)
        if piece == '"':
            node.text, position = _DECODER.raw_decode(text, match.start(1))
            node.kind = "text"
        _add(open_nodes[-1], pending, node)
        if piece in "{[":
            node.kind = "mapping" if piece == "{" else "list"
            open_nodes.append(node)
            pending.append(None)
    return root.items[0]


def _add(parent: Node, pending: list[Node | None], node: Node) -> None:
    key = pending[-1]
    if parent.kind == "list":
        parent.items.append(node)
    elif key is None:
        pending[-1] = node
    else:
        parent.pairs.append((key, node))
        pending[-1] = None


def _yaml(text: str) -> Node:
    if _depth(text) > _MOST_DEPTH:
        msg = "nested too deeply"
        raise UnreadableError(msg)
    import yaml  # type: ignore[import-untyped]

    try:
        documents = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise UnreadableError(" ".join(str(error).split())[:200]) from error
    if len(documents) != 1:
        msg = f"{len(documents)} documents, expected one"
        raise UnreadableError(msg)
    return _convert(documents[0], {})


def _depth(text: str) -> int:
    """How deep brackets may be nested, those in texts counted too; the reader's time grows with its square."""
    depth = deepest = 0
    for sign in re.findall(r"[\[\]{}]", text):
        depth += 1 if sign in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _convert(node: Any, known: dict[int, Node]) -> Node:
    """The same tree; what an alias names twice is one node twice, a circle stays one."""
    if id(node) in known:
        return known[id(node)]
    made = Node(node.start_mark.line + 1, "other")
    known[id(node)] = made
    made.code_tag = node.tag if node.tag.startswith(_CODE_TAG) else ""
    if isinstance(node.value, str):
        # A number that is tagged as text is one; whatever else begins with $ is looked at all the same.
        is_text = node.tag.endswith(":str") or node.value[:1] in ("$", "@", "%")
        made.kind, made.literal = ("text" if is_text else "other"), node.value
        made.text = node.value if is_text else None
    elif node.id == "mapping":
        made.kind = "mapping"
        made.pairs = [(_convert(key, known), _convert(value, known)) for key, value in node.value]
    else:
        made.kind = "list"
        made.items = [_convert(item, known) for item in node.value]
    return made
