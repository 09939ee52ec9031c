"""`python -m data_prep.papila SRC OUT`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from data_prep._command import add_common_arguments, converter_parser, run_converter
from data_prep._exit import EXIT_CODES
from data_prep._report import ConversionReport
from data_prep._split import read_split_arguments
from data_prep.papila import Options, convert

_EPILOG = f"""\
SRC is the unpacked PAPILA.zip: FundusImages/RET002OD.jpg …, ClinicalData/patient_data_od.xlsx and patient_data_os.xlsx.
OUT receives datalist.json (split by patient), fundus/*.png, report.html (look at it) and report.json (what became of
every eye and file). Running again with equal arguments finishes an interrupted conversion; a folder that holds anything
else is left alone.

The target is VF_MD in dB. Most eyes of the release had no visual field: they are counted and left out. A VF_MD that
no MD can be, such as a placeholder, sets the eye aside.

{EXIT_CODES}

examples:
  python -m data_prep.papila PAPILA/ papila/
  python -m monai.bundle run --dataset_dir papila/ --output_dir output/papila \\
    --config_file "['bundles/remd/train.json','bundles/remd/data/papila.json']"
  python -m data_prep.papila PAPILA/ papila-clinical/ --clinical     then data/papila_clinical.json
"""


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = converter_parser(
        "python -m data_prep.papila",
        description="Convert the PAPILA release to a medmd datalist: fundus photograph, and MD (dB) as the target.",
        epilog=_EPILOG,
        source="folder of the release",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="the first N patients only, to try it out")
    parser.add_argument(
        "--clinical",
        action="store_true",
        help="add a second input: age, intraocular pressure, corneal thickness, axial length",
    )
    add_common_arguments(parser, at_a_time="photographs")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: arguments without the program's name; those of the process when None.

    Returns:
        The exit code, see `data_prep._exit.Exit`.
    """

    def run(arguments: argparse.Namespace) -> ConversionReport:
        options = Options(limit=arguments.limit, clinical=arguments.clinical, split=read_split_arguments(arguments))
        return convert(arguments.source, arguments.out, options=options, workers=arguments.workers)

    return run_converter(build_parser(), argv, run)


if __name__ == "__main__":
    sys.exit(main())
