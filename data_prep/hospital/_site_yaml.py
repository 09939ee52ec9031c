"""A YAML file as plain values, with the line of each, and nothing that YAML hides: double keys, bombs, objects."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from medmd.utils import MedmdError

Place: TypeAlias = tuple[str | int, ...]

_MOST_BYTES = 1 << 20
_MOST_NODES = 20_000
_MOST_DEPTH = 20
_PLAIN_TAGS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")


@dataclass
class Problems:
    """What is wrong with a site file, all of it.

    Args:
        lines: place -> line, from 1.
    """

    lines: dict[Place, int] = field(default_factory=dict)
    found: list[tuple[int, str]] = field(default_factory=list)

    def add(self, place: Place, what: str) -> None:
        """Note a problem at a place."""
        line = self._line(place)
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
        words = f"`{where}`: {what}" if where else what
        self.found.append((line, f"line {line}: {words}" if line else words))

    def check(self, name: str) -> None:
        """Tell all of them at once, in order of the lines.

        Raises:
            MedmdError: there are some.
        """
        if self.found:
            lines = [text for _, text in sorted(self.found, key=lambda item: item[0])]
            count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
            msg = f"{name}: {count}; nothing was read.\n" + "\n".join(f"  {line}" for line in lines)
            raise MedmdError(msg)

    def _line(self, place: Place) -> int:
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 0)


def read_yaml(path: Path, problems: Problems) -> Any:
    """The file's one document as mappings, lists and scalars; the lines go to `problems`, double keys as well.

    Raises:
        MedmdError: it cannot be read, or is no YAML of a sensible size.
    """
    text = _read(path)
    import yaml  # type: ignore[import-untyped]

    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return {}
        return _Walk(loader, problems).value(node, ())
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" near line {mark.line + 1}" if mark is not None else ""
        what = getattr(error, "problem", None) or "not understood"
        msg = f"{path.name}: no valid YAML{where}: {what}."
        raise MedmdError(msg) from None
    except (ValueError, RecursionError, OverflowError):
        msg = f"{path.name}: no valid YAML: nested too deeply, or a date or number that does not exist."
        raise MedmdError(msg) from None
    finally:
        loader.dispose()


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _MOST_BYTES:
            msg = f"{path.name}: larger than {_MOST_BYTES} bytes, which no site file is."
            raise MedmdError(msg)
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        msg = f"{path}: the site file cannot be read ({error.strerror}). `--init` proposes one."
        raise MedmdError(msg) from None
    except UnicodeDecodeError:
        msg = f"{path.name}: not in UTF-8. Save the site file as UTF-8."
        raise MedmdError(msg) from None


class _Walk:
    def __init__(self, loader: Any, problems: Problems) -> None:
        self._loader, self._problems = loader, problems
        self._nodes = 0

    def value(self, node: Any, place: Place) -> Any:
        # Aliases are walked again each time they stand somewhere, so a bomb of them meets this limit.
        self._nodes += 1
        if self._nodes > _MOST_NODES or len(place) > _MOST_DEPTH:
            raise ValueError
        self._problems.lines.setdefault(place, node.start_mark.line + 1)
        if node.id != "scalar" and node.tag not in _PLAIN_TAGS:
            self._problems.add(place, "has a tag, which site files do not use; remove it")
        if node.id == "mapping":
            return self._mapping(node, place)
        if node.id == "sequence":
            return [self.value(item, (*place, number)) for number, item in enumerate(node.value)]
        return self._loader.construct_object(node)

    def _mapping(self, node: Any, place: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            # As it is written: YAML would read `1:` as a number, `no:` as false and `2020-01-01:` as a date.
            key = str(key_node.value) if key_node.id == "scalar" else "?"
            below = (*place, key)
            self._problems.lines[below] = key_node.start_mark.line + 1
            if key in found:
                self._problems.add(below, "stands there twice; keep one")
            found[key] = self.value(value_node, below)
        return found
