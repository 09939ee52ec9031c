"""`python -m data_prep.crema_d SRC OUT`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from data_prep._command import add_common_arguments, converter_parser, run_converter
from data_prep._exit import EXIT_CODES
from data_prep._report import ConversionReport
from data_prep._split import read_split_arguments
from data_prep.crema_d import Options, convert

_EPILOG = f"""\
SRC holds AudioWAV/1001_DFA_ANG_XX.wav … as released, and Image-01-FPS/1001_DFA_ANG_XX/*.jpg: the frames that the
preparation of OGM-GE takes out of the videos. Videos themselves (VideoFlash/*.flv) are not decoded; extract frames
first, for example with: ffmpeg -i clip.flv -vf fps=1 Image-01-FPS/clip/%04d.jpg

The sound becomes a spectrogram of three seconds (256 x 300 pixels; a shorter one is repeated), the frame in the middle
of the clip a photograph. Either may be missing. The class is the intended emotion; all clips of an actor stay together.

OUT receives datalist.json, audio/*.png, frame/*.png, report.html (look at it) and report.json. Running again with equal
arguments finishes an interrupted conversion; a folder that holds anything else is left alone.

{EXIT_CODES}

examples:
  python -m data_prep.crema_d CREMA-D/ crema_d/
  python -m monai.bundle run --dataset_dir crema_d/ --output_dir output/crema_d \\
    --config_file "['bundles/remd/train.json','bundles/remd/data/crema_d.json']"
"""


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = converter_parser(
        "python -m data_prep.crema_d",
        description="Convert CREMA-D to a medmd datalist: spectrogram, frame, and the emotion as the class.",
        epilog=_EPILOG,
        source="folder of the release",
    )
    parser.add_argument("--frames", metavar="DIR", help="folder of the frame folders, when it is not below SRC")
    parser.add_argument("--limit", type=int, metavar="N", help="the first N clips only, to try it out")
    add_common_arguments(parser, at_a_time="clips")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with arguments (those of the process when None) and return the exit code."""
    return run_converter(build_parser(), argv, _convert)


def _convert(arguments: argparse.Namespace) -> ConversionReport:
    options = Options(limit=arguments.limit, split=read_split_arguments(arguments))
    return convert(arguments.source, arguments.out, frames=arguments.frames, options=options, workers=arguments.workers)


if __name__ == "__main__":
    sys.exit(main())
