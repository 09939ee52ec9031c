"""Write metrics, figures and one HTML page for a run or a table of predictions, and print the main table."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument("source", metavar="RUN_DIR|predictions.csv", help="folder of a run, or a table of predictions")
    parser.add_argument("--out", metavar="DIR", help="where to write (default: 'report' beside the predictions)")
    parser.add_argument("--split", default="testing", help="which split to evaluate (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the bootstrap (default: %(default)s)")
    parser.add_argument(
        "--replicates", type=_positive, default=2000, help="resamples of the bootstrap (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Write the report and print its main table."""
    from pathlib import Path

    from medmd.report import format_table, load_inputs, write_report

    source = Path(args.source)
    out = Path(args.out) if args.out else (source if source.is_dir() else source.parent) / "report"
    method = load_inputs(source).method
    evaluation = write_report(source, out_dir=out, split=args.split, seed=args.seed, replicates=args.replicates)
    print(format_table(evaluation, method=method))
    for note in evaluation["notes"]:
        print(f"note: {note}")
    print(f"report: {out / 'report.html'}")
    return 0


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        msg = f"must be at least 1, got {value}"
        raise argparse.ArgumentTypeError(msg)
    return value
