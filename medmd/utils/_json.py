"""JSON with one layout for every file that the project writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from medmd.utils._errors import MedmdError
from medmd.utils._files import write_atomic


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises:
        MedmdError: the file is absent or is not JSON, the text names line and column; or it is nested too deeply or
            holds a number of too many digits.
    """
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        msg = f"{path.name}: no such file. Expected a JSON file at {path}."
        raise MedmdError(msg) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        where = _position(error)
        msg = f"{path.name}: not valid JSON ({where})."
        raise MedmdError(msg) from error
    except (RecursionError, ValueError) as error:
        msg = f"{path.name}: expected JSON of ordinary depth and numbers, got one that Python refuses ({error})."
        raise MedmdError(msg) from error


def write_json(path: str | Path, content: Any) -> None:
    """Write `content` atomically, keys in the given order, two-space indent, NaN refused."""
    write_atomic(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _position(error: json.JSONDecodeError | UnicodeDecodeError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno}, column {error.colno}: {error.msg}"
    return "not UTF-8"
