"""The command line that the two converters share."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from data_prep._exit import EXIT_CODES, Exit, exit_code
from data_prep._split import add_split_arguments, read_split_arguments
from medmd.utils import MedmdError

if TYPE_CHECKING:
    from data_prep._harvard._release import Release

_EPILOG = """\
SRC holds files such as data_0001.npz, in folders such as Training, Validation and Test or in one folder.
OUT receives datalist.json, the images, report.html (look at it) and report.json (what became of every sample and
file). Running again with equal arguments finishes an interrupted conversion; a folder that holds anything else is left
alone. Samples are read without pickle: a file that needs it is set aside.

The release's parts become the lists training, validation and testing, unless --resplit, --folds or --unsplit is given;
without parts the samples are split as the arguments say. The release says that every sample is of another patient.
"""


def build_parser(release: Release, *, example: str) -> argparse.ArgumentParser:
    """The arguments of a conversion.

    Args:
        release: which it is.
        example: lines that show how to train on the result.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m {release.converter}",
        description=f"Convert the {release.title} release to a medmd datalist, with MD (dB) as the target.",
        epilog=f"{_EPILOG}\nlicence of the data: {release.licence}\n\n{EXIT_CODES}\n\nexample:\n{example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="SRC", help="folder of the release, or of one part of it")
    parser.add_argument("out", metavar="OUT", help="folder to write: new, empty, or that of an equal earlier call")
    parser.add_argument("--limit", type=int, metavar="N", help="the first N samples of each part only, to try it out")
    parser.add_argument(
        "--subgroups",
        action="store_true",
        help="write race and ethnicity beside each case, for tables by subgroup; the report counts them anyway",
    )
    parser.add_argument("--resplit", action="store_true", help="split anew although the release has parts")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="samples at a time (default: %(default)s)")
    add_split_arguments(parser)
    return parser


def run(release: Release, argv: Sequence[str] | None, *, example: str) -> int:
    """Run the command.

    Args:
        release: which it is.
        argv: arguments without the program's name; those of the process when None.
        example: as in `build_parser`.

    Returns:
        The exit code, see `data_prep._exit.Exit`.
    """
    arguments = build_parser(release, example=example).parse_args(argv)
    from data_prep._harvard._convert import Options, convert

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    options = Options(
        limit=arguments.limit,
        subgroups=arguments.subgroups,
        resplit=arguments.resplit,
        split=read_split_arguments(arguments),
    )
    try:
        report = convert(arguments.source, arguments.out, release, options=options, workers=arguments.workers)
    except MedmdError as error:
        print(error, file=sys.stderr)
        return Exit.BAD_CALL
    print(report.text())
    if report.usable:
        print(f"written to {arguments.out}: look at report.html")
    else:
        print(f"{arguments.out}: nothing usable, no datalist is written; see report.html", file=sys.stderr)
    return exit_code(report)
