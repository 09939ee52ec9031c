"""`python -m data_prep.multi_mnist SRC OUT`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from data_prep._command import converter_parser, run_converter
from data_prep._exit import EXIT_CODES
from data_prep._report import ConversionReport
from data_prep.multi_mnist import Options, convert

_EPILOG = f"""\
SRC holds MNIST's files train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and
t10k-labels-idx1-ubyte.gz, packed or not.

A picture is a canvas of 36 x 36 with one digit of 28 x 28 at the top left and one at the bottom right, each moved by 0
to SHIFT pixels towards the other; where both are, the brighter pixel counts. Training and validation are made from
MNIST's training half, of different digits; testing from its test half.

OUT receives datalist.json, digits/*.png, report.html (look at it) and report.json. Running again with equal arguments
finishes an interrupted conversion; a folder that holds anything else is left alone.

{EXIT_CODES}

examples:
  python -m data_prep.multi_mnist mnist/ multi_mnist/
  python -m monai.bundle run --dataset_dir multi_mnist/ --output_dir output/multi_mnist \\
    --config_file "['bundles/remd/train.json','bundles/remd/data/multi_mnist.json']"
"""


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = converter_parser(
        "python -m data_prep.multi_mnist",
        description="Compose MultiMNIST, a picture of two digits and two tasks, from the MNIST files.",
        epilog=_EPILOG,
        source="folder with MNIST's four files",
    )
    default = Options()
    for part in ("training", "validation", "testing"):
        text = f"pictures for {part} (default: %(default)s)"
        parser.add_argument(f"--{part}", type=int, default=getattr(default, part), metavar="N", help=text)
    parser.add_argument("--shift", type=int, default=default.shift, metavar="P", help="pixels (default: %(default)s)")
    parser.add_argument("--size", type=int, default=default.size, metavar="P", help="36 or 28 (default: %(default)s)")
    parser.add_argument(
        "--seed", type=int, default=default.seed, metavar="N", help="of the pairs (default: %(default)s)"
    )
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="pictures at a time (default: %(default)s)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with arguments (those of the process when None) and return the exit code."""
    return run_converter(build_parser(), argv, _convert)


def _convert(arguments: argparse.Namespace) -> ConversionReport:
    given = {name: getattr(arguments, name) for name in vars(Options())}
    return convert(arguments.source, arguments.out, options=Options(**given), workers=arguments.workers)


if __name__ == "__main__":
    sys.exit(main())
