"""List everything in a bundle that MONAI would evaluate, call, import or unpickle, without doing any of it.

Exit code 0: all of it is in the list of what a bundle may do; 1: findings; 2: something could not be read. Run it
before `python -m monai.bundle run` on a bundle or a configuration that is not your own: a configuration is a program.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from medmd.audit import Audit, Entry

_MARKS = {"finding": "!!", "unreadable": "??", "note": "--", "allowed": "ok"}
_WIDEST_PLACE, _WIDEST_TEXT = 48, 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "bundle",
        nargs="+",
        type=Path,
        metavar="BUNDLE",
        help="a folder, a zip (it stays packed), or configuration files (.json, .yaml), judged together",
    )
    parser.add_argument("--json", action="store_true", help="print JSON, for a program to read")
    parser.add_argument("--findings", action="store_true", help="leave out what is allowed")


def run(args: argparse.Namespace) -> int:
    """Print the list; 0, 1 or 2 as the verb's help says."""
    from medmd.audit import audit_bundle

    audit = audit_bundle(args.bundle)
    if args.json:
        print(json.dumps(audit.to_dict(), indent=2))
    else:
        for line in _lines(audit, findings_only=args.findings):
            print(line)
    return audit.exit_code


def _lines(audit: Audit, *, findings_only: bool) -> list[str]:
    shown = [entry for entry in audit.entries if not findings_only or entry.verdict != "allowed"]
    lines: list[str] = []
    for file in dict.fromkeys(entry.file for entry in shown):
        part = [entry for entry in shown if entry.file == file]
        width = min(_WIDEST_PLACE, max(len(_plain(entry.where)) for entry in part))
        lines += [_plain(file), *(line for entry in part for line in _rows(entry, width)), ""]
    return [*lines, *_verdict(audit)]


def _rows(entry: Entry, width: int) -> list[str]:
    line = f"{entry.line:>5}" if entry.line else " " * 5
    text = f"{entry.kind:<10}  {_short(entry.text)}" if entry.text else entry.kind
    rows = [f"  {_MARKS[entry.verdict]} {line}  {_plain(entry.where):<{width}}  {text}".rstrip()]
    return [*rows, f"{' ' * 12}{_short(entry.reason, 300)}"] if entry.reason else rows


def _verdict(audit: Audit) -> list[str]:
    counts = {name: sum(entry.verdict == name for entry in audit.entries) for name in _MARKS}
    told = f"{counts['allowed']} allowed, {counts['finding']} findings, {counts['unreadable']} unreadable"
    meaning = {
        0: "clean: nothing outside the list of what a bundle may do",
        1: "findings: run it only if you understand and want each of them",
        2: "incomplete: what could not be read may hold anything",
    }
    return [f"{audit.files} files: {told}", meaning[audit.exit_code]]


def _short(text: str, most: int = _WIDEST_TEXT) -> str:
    plain = _plain(text)
    return plain if len(plain) <= most else f"{plain[: most - 2]} …"


def _plain(text: str) -> str:
    """Without what moves a terminal's cursor or turns the direction of writing."""
    return "".join(sign if sign.isprintable() else f"\\u{ord(sign):04x}" for sign in text)
