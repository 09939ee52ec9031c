"""Check a configuration without running it: files and overrides as `python -m monai.bundle run` takes them.

Nothing in the configuration is evaluated or built. All findings are told, each with its file and line: JSON errors,
keys that stand twice, unknown keys with the nearest known one, arguments that a component does not take, wrong types,
references that lead nowhere or in a circle, files that are absent.

Exit code: 0 for none, 1 for warnings only, 2 for errors.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from medmd.workflows.check_config import ConfigReport

_OWN_FLAGS = {"--verbose": "verbose", "--debug": "debug"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--json", metavar="FILE", help="write the findings as JSON; - for standard output")
    parser.add_argument("--config_file", metavar="FILES", help="the files, spelled as for monai.bundle run")
    parser.add_argument(
        "words",
        nargs=argparse.REMAINDER,
        metavar="FILES [--KEY VALUE ...]",
        help="configuration files, later ones laid over earlier ones, then overrides such as --train_epochs 5",
    )


def prepare(arguments: list[str]) -> list[str]:
    """Hand on all words as they are: argparse takes none that begins with a dash before the first that does not."""
    return arguments if {"-h", "--help"} & set(arguments) else ["--", *arguments]


def run(args: argparse.Namespace) -> int:
    """Print the findings; 0 for none, 1 for warnings only, 2 for errors."""
    from medmd.utils import MedmdError
    from medmd.workflows.check_config import check_config, split_words

    files, overrides = split_words(_take_own_options(args))
    if not files:
        msg = "no configuration is named. Name one, such as bundles/remd/train.json (`medmd bundle-path` tells where)."
        raise MedmdError(msg)
    report = check_config(files, overrides)
    _write(report, args.json)
    return report.exit_code


def _take_own_options(args: argparse.Namespace) -> list[str]:
    """The words without this command's own options, which may stand anywhere."""
    words = list(args.words)
    # Of the remainder argparse keeps the mark that begins it.
    del words[: words[:1] == ["--"]]
    if "--json" in words[:-1]:
        at = words.index("--json")
        args.json = words[at + 1]
        del words[at : at + 2]
    for flag, name in _OWN_FLAGS.items():
        # The bundle has a setting of the same name, which takes a value.
        alone = [at for at, word in enumerate(words) if word == flag and words[at + 1 : at + 2] in ([], *_flags(words))]
        for at in reversed(alone):
            setattr(args, name, True)
            del words[at]
    return words


def _flags(words: list[str]) -> list[list[str]]:
    return [[word] for word in words if word.startswith("--")]


def _write(report: ConfigReport, target: str | None) -> None:
    from medmd.utils import write_atomic

    if target == "-":
        sys.stdout.write(report.to_json())
        return
    if target:
        write_atomic(Path(target), report.to_json())
    for finding in report.findings:
        print(f"{finding.level}: {finding}")
    count = f"{len(report.errors)} errors, {len(report.warnings)} warnings"
    print(f"{', '.join(report.files)}: {count}")
