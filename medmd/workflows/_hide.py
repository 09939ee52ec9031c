"""Keeps the places of data and results out of what is shown: folders are named after people and patients."""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_PLACES: dict[str, str] = {}
_SHOWN_INSIDE = ("output_dir", "~")


def hide_places(places: Mapping[str, Any]) -> None:
    """From now on, the log and the errors of the command line show the names of these settings in the stead of paths.

    Below a folder of results what follows is shown, since the run named it; below any other folder it is not. Programs
    that call the library see their own paths.

    Args:
        places: paths by the name of their setting; what is no path (null, an expression) is passed over.
    """
    if not _PLACES:
        _add("~", Path.home())
        _wrap_records()
    for name, value in places.items():
        if isinstance(value, (str, Path)) and str(value) and not str(value).startswith(("$", "@", "%")):
            _add(name, Path(value))


def hide(text: str) -> str:
    """`text` with the name of a setting for each path below one of the hidden places."""
    # The longest first: one place may lie below another.
    for root in sorted(_PLACES, key=len, reverse=True):
        if root in text:
            text = _replace(text, root, _PLACES[root])
    return text


def _add(name: str, path: Path) -> None:
    for form in {str(path), str(path.expanduser().absolute()), str(path.expanduser().resolve())}:
        # A single word such as `data` stands in too many texts, and a root in every one.
        if len(Path(form).parts) > 1:
            _PLACES.setdefault(form, name)


def _replace(text: str, root: str, name: str) -> str:
    escaped = re.escape(root)
    shown = f"<{name}>" if name != "~" else "~"
    if name in _SHOWN_INSIDE:
        return re.sub(rf"{escaped}(?![\w-])", lambda _: shown, text)
    rest = r"""(?:(?P<quote>['"])ROOT[^'"\n]*(?P=quote)|ROOT(?![\w-])[^\s'"<>|,;)\]}]*)""".replace("ROOT", escaped)
    return re.sub(rest, lambda found: f"{found['quote'] or ''}{shown}{found['quote'] or ''}", text)


def _wrap_records() -> None:
    before = logging.getLogRecordFactory()

    def make(*args: Any, **options: Any) -> logging.LogRecord:
        record = before(*args, **options)
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - logging itself tells of a wrong format
            return record
        hidden = hide(message)
        if hidden != message:
            record.msg, record.args = hidden, ()
        if record.exc_info and record.exc_info[1] is not None:
            # A formatter takes the text that is there.
            record.exc_text = hide("".join(traceback.format_exception(*record.exc_info))).rstrip("\n")
        return record

    logging.setLogRecordFactory(make)
