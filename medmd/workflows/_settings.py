"""Settings that nothing uses: most often a slip of the pen, which MONAI takes without a word."""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Iterator
from typing import Any

from medmd.utils import MedmdError
from medmd.workflows._parser import active_parser, active_start

_LOGGER = logging.getLogger(__name__)
# Read by MONAI and its tools, not by another part of the configuration.
_MONAI_KEYS = frozenset(
    {"imports", "bundle_root", "network_def", "initialize", "run", "finalize", "pretrain", "train", "validate"}
)
_REFERENCE = re.compile(r"@(\w+)")
_ALIKE = 0.8


def check_settings(config: dict[str, Any]) -> None:
    """Look for top-level settings that no `@reference` uses.

    An override such as `--train_epoch 5` adds a new setting and changes nothing. Whether a lone setting is meant cannot
    be known, since an overlay may have no use for a setting of the file below it: only one that resembles a used one
    is refused; the others are named in the log.

    Raises:
        MedmdError: a setting that nothing uses is nearly named like one that is used.
    """
    used = {name for text in _texts(config) for name in _REFERENCE.findall(text)}
    lone = [name for name in config if name not in used | _MONAI_KEYS and not name.startswith("_")]
    for name in lone:
        alike = difflib.get_close_matches(name, used & config.keys(), n=1, cutoff=_ALIKE)
        if alike:
            msg = f"{name}: nothing uses a setting of this name. Did you mean {alike[0]}?"
            raise MedmdError(msg)
    if lone:
        _LOGGER.info("Used by nothing: %s.", ", ".join(lone))


def check_start() -> None:
    """The second entry of a bundle's `initialize`: refuse wrong settings before anything is made.

    Refused are settings of another type than the bundle's own value has, values that a setting cannot have, and
    whatever is wrong with an override: a name that no file defines and nothing uses, an argument that its component
    does not take, a reference that leads nowhere. What else is wrong with a file shows when it is needed; `medmd
    check-config` tells all of it without a run.

    Raises:
        MedmdError: one line for each of them.
    """
    from medmd.workflows.check_config import COMMAND_LINE, check_config, check_content

    start, parser = active_start(), active_parser()
    if start is not None:
        report = check_config(start.files, start.overrides)
    elif parser is not None:
        report = check_content(parser.config)
    else:
        return
    refused = [
        finding.sentence
        for finding in report.errors
        if (finding.place is not None and finding.place.file == COMMAND_LINE)
        or (len(finding.path) == 1 and finding.kind in ("wrong-type", "wrong-value"))
    ]
    if refused:
        raise MedmdError("\n".join(refused))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str) and value[:1] in ("@", "$"):
        yield value
