"""What the command lines of converters share: arguments that all take, and the end of a conversion."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence

from data_prep._exit import Exit, exit_code
from data_prep._report import ConversionReport
from data_prep._split import add_split_arguments
from medmd.utils import MedmdError


def converter_parser(program: str, *, description: str, epilog: str, source: str) -> argparse.ArgumentParser:
    """A parser with SRC and OUT.

    Args:
        program: as it is called.
        description: what it does.
        epilog: what SRC and OUT hold, and examples; printed as it is.
        source: what SRC is.
    """
    parser = argparse.ArgumentParser(
        prog=program,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="SRC", help=source)
    parser.add_argument("out", metavar="OUT", help="folder to write: new, empty, or that of an equal earlier call")
    return parser


def add_common_arguments(parser: argparse.ArgumentParser, *, at_a_time: str) -> None:
    """Add the workers and the split; they come last in the help."""
    parser.add_argument(
        "--workers", type=int, default=2, metavar="N", help=f"{at_a_time} at a time (default: %(default)s)"
    )
    add_split_arguments(parser)


def run_converter(
    parser: argparse.ArgumentParser,
    argv: Sequence[str] | None,
    convert: Callable[[argparse.Namespace], ConversionReport],
    *,
    written: str = "look at report.html",
    code: Callable[[ConversionReport], int] = exit_code,
) -> int:
    """Parse, convert, and tell the user what came of it.

    Args:
        parser: of the command.
        argv: arguments without the program's name; those of the process when None.
        convert: what to do with the arguments.
        written: what to say of the output.
        code: the exit code of a conversion that came to its end.

    Returns:
        The exit code, see `data_prep._exit.Exit`.
    """
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        report = convert(arguments)
    except MedmdError as error:
        print(error, file=sys.stderr)
        return Exit.BAD_CALL
    print(report.text())
    if report.usable:
        print(f"written to {arguments.out}: {written}")
    else:
        print(f"{arguments.out}: nothing usable, no datalist is written; see report.html", file=sys.stderr)
    return code(report)
