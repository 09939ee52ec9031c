"""`python -m data_prep.grape SRC OUT`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from data_prep._command import add_common_arguments, converter_parser, run_converter
from data_prep._exit import Exit
from data_prep._report import ConversionReport
from data_prep._split import read_split_arguments
from data_prep.grape import Options, convert

_EPILOG = """\
The output holds datalist.json (the cohort, split by subject), images/*.png, report.html (look at it), report.json (what
became of every row and photograph) and contact_sheet.png. Visits without a photograph are counted and named, not fatal.
Running again with equal arguments finishes an interrupted conversion; a folder that holds anything else is left alone.

The target is the mean sensitivity in dB (0 to 35, higher is better) of the 59 tested points of the Octopus G1 field
of the same visit. The release gives no mean deviation in dB: its column "MD" is a 0/1 flag of progression.

exit codes: 0 done (exclusions are in the report), 2 wrong call or a source that is not the release, 4 nothing usable

examples:
  python -m data_prep.grape GRAPE/ grape/                      optic-disc crops of first visits, split 70/10/20
  python -m data_prep.grape GRAPE/ grape-unsplit/ --unsplit    one list, for cross-validation elsewhere
  python -m data_prep.grape GRAPE/ fold0/ --folds 5 --fold 0   the first of five folds
"""


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = converter_parser(
        "python -m data_prep.grape",
        description="Convert the GRAPE release to a medmd datalist: fundus photograph and OCT RNFL thickness,\n"
        "with the mean sensitivity of the visual field of the same visit as target.",
        epilog=_EPILOG,
        source="folder with the workbook and the folders ROIs/ and CFPs/",
    )
    parser.add_argument(
        "--photograph",
        choices=("crop", "full"),
        default="crop",
        help="optic-disc crop from ROIs/, or whole photograph from CFPs/ (default: %(default)s)",
    )
    parser.add_argument(
        "--visits",
        choices=("first", "all"),
        default="first",
        help="first visits, or all that have a photograph; later visits have no RNFL (default: %(default)s)",
    )
    parser.add_argument(
        "--clinical",
        action="store_true",
        help="add a third input: age, intraocular pressure, central corneal thickness",
    )
    add_common_arguments(parser, at_a_time="photographs")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: arguments without the program's name; those of the process when None.

    Returns:
        The exit code: 0 done, 2 wrong call or source, 4 nothing usable.
    """

    def run(arguments: argparse.Namespace) -> ConversionReport:
        options = Options(
            photograph=arguments.photograph,
            visits=arguments.visits,
            clinical=arguments.clinical,
            split=read_split_arguments(arguments),
        )
        return convert(arguments.source, arguments.out, options=options, workers=arguments.workers)

    written = "datalist.json, images/, report.html, report.json, contact_sheet.png"
    return run_converter(build_parser(), argv, run, written=written, code=_code)


def _code(report: ConversionReport) -> int:
    """Exclusions of this release are told in the report alone."""
    return Exit.DONE if report.usable else Exit.NOTHING_USABLE


if __name__ == "__main__":
    sys.exit(main())
