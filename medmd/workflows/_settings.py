"""Settings that nothing uses: most often a slip of the pen, which MONAI takes without a word."""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from medmd.utils import MedmdError
from medmd.workflows._parser import active_parser, active_start

if TYPE_CHECKING:
    from medmd.workflows.check_config import Finding

_LOGGER = logging.getLogger(__name__)
# Read by MONAI and its tools, not by another part of the configuration.
_MONAI_KEYS = frozenset(
    {"imports", "bundle_root", "network_def", "initialize", "run", "finalize", "pretrain", "train", "validate"}
)
_REFERENCE = re.compile(r"@(\w+)")
_ALIKE = 0.8
# What does not keep a bundle from being built, or is told better by the component that meets it.
_LATER = frozenset({"absent-file", "duplicate-key", "syntax"})


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
    """Refuse what cannot be built or is not meant, before anything is made: the second entry of `initialize`.

    Nothing is evaluated; it is what `medmd check-config` calls errors, except files that are absent, which the
    component that needs them knows better how to come by, and keys that stand twice. A bundle that was not started by
    MONAI's `run` has no files to point to: there the types and values of the top-level settings are judged.

    Raises:
        MedmdError: one line for each fault.
    """
    from medmd.workflows.check_config import check_config, check_content

    start, parser = active_start(), active_parser()
    if start is not None:
        found = [finding for finding in check_config(start.files, start.overrides).errors if finding.kind not in _LATER]
    elif parser is not None:
        found = [finding for finding in check_content(parser.config).errors if len(finding.path) == 1]
    else:
        return
    if found:
        raise MedmdError("\n".join(_told(finding) for finding in found))


def _told(finding: Finding) -> str:
    from medmd.workflows.check_config import COMMAND_LINE

    is_override = finding.place is None or finding.place.file == COMMAND_LINE
    return finding.sentence if is_override else str(finding)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str) and value[:1] in ("@", "$"):
        yield value
