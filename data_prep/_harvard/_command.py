"""The command line that the two converters share."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from data_prep._command import add_common_arguments, converter_parser, run_converter
from data_prep._exit import EXIT_CODES
from data_prep._split import read_split_arguments

if TYPE_CHECKING:
    from data_prep._harvard._release import Release
    from data_prep._report import ConversionReport

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
    parser = converter_parser(
        f"python -m {release.converter}",
        description=f"Convert the {release.title} release to a medmd datalist, with MD (dB) as the target.",
        epilog=f"{_EPILOG}\nlicence of the data: {release.licence}\n\n{EXIT_CODES}\n\nexample:\n{example}",
        source="folder of the release, or of one part of it",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="the first N samples of each part only, to try it out")
    parser.add_argument(
        "--subgroups",
        action="store_true",
        help="write race and ethnicity beside each case, for tables by subgroup; the report counts them anyway",
    )
    parser.add_argument("--resplit", action="store_true", help="split anew although the release has parts")
    add_common_arguments(parser, at_a_time="samples")
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

    def convert_with(arguments: argparse.Namespace) -> ConversionReport:
        from data_prep._harvard._convert import Options, convert

        options = Options(
            limit=arguments.limit,
            subgroups=arguments.subgroups,
            resplit=arguments.resplit,
            split=read_split_arguments(arguments),
        )
        return convert(arguments.source, arguments.out, release, options=options, workers=arguments.workers)

    return run_converter(build_parser(release, example=example), argv, convert_with)
