"""`python -m data_prep.stage2 SRC OUT`, `… submit …` and `… score …`."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence

from data_prep._exit import EXIT_CODES, Exit, exit_code
from data_prep._split import add_split_arguments, read_split_arguments
from data_prep.stage2 import RESULTS, Options, convert, score_submission, write_submission
from medmd.utils import MedmdError, write_json

_PROGRAM = "python -m data_prep.stage2"
_EPILOG = f"""\
SRC is the unpacked release, or one part of it; STAGE 2023, STAGE 2024 and GAMMA are told apart by what lies there.
OUT receives datalist.json (the training part, split), datalist_validation.json and datalist_testing.json (the other
parts, for `medmd predict`), the images, report.html (look at it) and report.json (what became of every eye and file).
Running again with equal arguments finishes an interrupted conversion; a folder that holds anything else is left alone.

The releases name no patients: every eye counts as one, and the two eyes of a person may stand in different lists.
The stage of glaucoma that they give is kept beside each eye and is no input unless --stage-input is given.

{EXIT_CODES}

two more commands, each with a --help of its own:
  {_PROGRAM} submit PREDICTIONS DATALIST [OUT]   write the challenge's {RESULTS}
  {_PROGRAM} score SUBMISSION LABELS             compute the challenge's score

example, from the release to a submission:
  {_PROGRAM} STAGE2/ stage2/
  python -m monai.bundle run --dataset_dir stage2/ --output_dir output/stage2 \\
    --config_file "['bundles/remd/train.json','bundles/remd/data/stage2.json']"
  medmd predict output/stage2 stage2/datalist_validation.json predictions.csv
  {_PROGRAM} submit predictions.csv stage2/datalist_validation.json {RESULTS}
"""


def build_parser() -> argparse.ArgumentParser:
    """The arguments of a conversion."""
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        description="Convert a STAGE, STAGE2 or GAMMA release to medmd datalists.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="SRC", help="folder of the release, or of one part of it")
    parser.add_argument("out", metavar="OUT", help="folder to write: new, empty, or that of an equal earlier call")
    parser.add_argument("--validation", metavar="DIR", help="the release's validation part, when it is not below SRC")
    parser.add_argument("--limit", type=int, metavar="N", help="the first N eyes of each part only, to try it out")
    parser.add_argument(
        "--stage-input",
        action="store_true",
        help="make the given stage of glaucoma an input. It is derived from the field whose MD is predicted: only to "
        "compare with entries of the challenge, which used it",
    )
    parser.add_argument(
        "--spacing-mm",
        type=float,
        nargs=3,
        metavar=("X", "Y", "Z"),
        help="along-scan, depth and between slices; the releases state none (default: assume 3 x 3 mm, 2.6 um deep)",
    )
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="eyes at a time (default: %(default)s)")
    add_split_arguments(parser)
    return parser


def build_submit_parser() -> argparse.ArgumentParser:
    """The arguments of a submission."""
    parser = argparse.ArgumentParser(
        prog=f"{_PROGRAM} submit",
        description="Write the challenge's result file (ID,pred_MD) with a row for every eye of a part.",
        epilog="exit codes: 0 done, 2 wrong call or files",
    )
    parser.add_argument("predictions", metavar="PREDICTIONS", help="CSV as `medmd predict` writes it")
    parser.add_argument("datalist", metavar="DATALIST", help="of the part, such as datalist_validation.json")
    parser.add_argument("out", metavar="OUT", nargs="?", default=RESULTS, help="CSV to write (default: %(default)s)")
    parser.add_argument("--column", metavar="NAME", help="column to submit (default: md, else fusion)")
    parser.add_argument("--fill", type=float, metavar="MD", help="dB for eyes without a prediction; none by default")
    return parser


def build_score_parser() -> argparse.ArgumentParser:
    """The arguments of the score."""
    parser = argparse.ArgumentParser(
        prog=f"{_PROGRAM} score",
        description="Score a result file: 0.5 / (SMAPE + 0.1) + 0.5 * 10 * R2, 10 is perfect. SMAPE explodes near 0 dB:"
        " for comparison with the challenge only.",
        epilog="exit codes: 0 done, 2 wrong call or files",
    )
    parser.add_argument("submission", metavar="SUBMISSION", help=f"CSV as {RESULTS}")
    parser.add_argument("labels", metavar="LABELS", help="label table of the release, or a datalist with targets")
    parser.add_argument("--json", metavar="FILE", help="write the numbers here too")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: arguments without the program's name; those of the process when None.

    Returns:
        The exit code, see `data_prep._exit.Exit`.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    command = _COMMANDS.get(words[0]) if words else None
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        return command(words[1:]) if command else _convert(words)
    except MedmdError as error:
        print(error, file=sys.stderr)
        return Exit.BAD_CALL


def _convert(words: Sequence[str]) -> int:
    arguments = build_parser().parse_args(words)
    spacing = tuple(arguments.spacing_mm) if arguments.spacing_mm else None
    options = Options(
        limit=arguments.limit,
        stage_input=arguments.stage_input,
        spacing_mm=spacing,
        split=read_split_arguments(arguments),
    )
    report = convert(
        arguments.source,
        arguments.out,
        validation=arguments.validation,
        options=options,
        workers=arguments.workers,
    )
    print(report.text())
    if not report.usable:
        print(f"{arguments.out}: nothing usable, no datalist is written; see report.html", file=sys.stderr)
    else:
        print(f"written to {arguments.out}: look at report.html")
    return exit_code(report)


def _submit(words: Sequence[str]) -> int:
    arguments = build_submit_parser().parse_args(words)
    filled = write_submission(
        arguments.predictions, arguments.datalist, arguments.out, column=arguments.column, fill=arguments.fill
    )
    note = f"; {len(filled)} eyes without a prediction were given {arguments.fill:g} dB" if filled else ""
    print(f"written: {arguments.out}{note}")
    return Exit.DONE


def _score(words: Sequence[str]) -> int:
    arguments = build_score_parser().parse_args(words)
    found = score_submission(arguments.submission, arguments.labels)
    if arguments.json:
        write_json(arguments.json, found)
    print(
        f"score {found['score']:.4f} (SMAPE {found['smape']:.4f}, R2 {found['r2']:.4f}); MAE {found['mae']:.2f} dB, "
        f"RMSE {found['rmse']:.2f} dB, {found['n']} eyes"
    )
    return Exit.DONE


_COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {"submit": _submit, "score": _score}


if __name__ == "__main__":
    sys.exit(main())
