"""The command line of a release."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from data_prep._command import add_common_arguments, converter_parser, run_converter
from data_prep._exit import EXIT_CODES
from data_prep._release import Options, Release
from data_prep._report import ConversionReport
from data_prep._split import read_split_arguments

_EPILOG = """\
{layout}

OUT receives datalist.json, vectors or images, report.html (look at it) and report.json (what became of every case).
Running again with equal arguments finishes an interrupted conversion; a folder that holds anything else is left alone.

licence of the data: {licence}

{codes}

examples:
  python -m {converter} SRC/ {name}/
  python -m monai.bundle run --dataset_dir {name}/ --output_dir output/{name} \\
    --config_file "['bundles/remd/train.json','bundles/remd/data/{overlay}.json']"
"""


def build_parser(release: Release) -> argparse.ArgumentParser:
    """The arguments of a conversion."""
    epilog = _EPILOG.format(
        layout=release.layout.strip(),
        licence=release.licence,
        codes=EXIT_CODES,
        converter=release.converter,
        name=release.name,
        overlay=release.overlay or release.name,
    )
    parser = converter_parser(
        f"python -m {release.converter}",
        description=f"Convert {release.title} to a medmd datalist: {release.inputs}.",
        epilog=epilog,
        source=release.source,
    )
    parser.add_argument("--limit", type=int, metavar="N", help=f"the first N {release.cases} only, to try it out")
    for choice in release.choices:
        flag = f"--{choice.name.replace('_', '-')}"
        if choice.default is False:
            parser.add_argument(flag, action="store_true", help=choice.help)
        else:
            text = f"{choice.help} (default: %(default)s)"
            shown = None if choice.allowed else "TEXT"
            parser.add_argument(flag, default=choice.default, choices=choice.allowed or None, metavar=shown, help=text)
    parser.add_argument("--resplit", action="store_true", help="split anew although the release has parts")
    add_common_arguments(parser, at_a_time="photographs")
    return parser


def run(release: Release, argv: Sequence[str] | None = None) -> int:
    """Run the command of a release with arguments (those of the process when None) and return the exit code."""

    def convert(arguments: argparse.Namespace) -> ConversionReport:
        from data_prep._release_convert import convert_release

        options = Options(
            limit=arguments.limit,
            resplit=arguments.resplit,
            split=read_split_arguments(arguments),
            choices={choice.name: getattr(arguments, choice.name) for choice in release.choices},
        )
        return convert_release(release, arguments.source, arguments.out, options=options, workers=arguments.workers)

    return run_converter(build_parser(release), argv, convert)
