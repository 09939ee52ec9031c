"""Compare predictors on saved predictions: intervals, paired tests with correction, and what may be called best.

Sources are folders of runs or tables of predictions, each as PATH or NAME=PATH; several of one NAME are training seeds
of one row. With --work, the rows of a benchmark. One source is compared column by column.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from medmd.comparison import Rows


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument("source", nargs="*", metavar="RUN_DIR|predictions.csv", help="what to compare")
    parser.add_argument("--work", metavar="DIR", help="folder of a benchmark, in the place of sources")
    parser.add_argument(
        "--dataset", action="append", metavar="NAME", help="data set of the benchmark; again for more (default: all)"
    )
    parser.add_argument(
        "--row", action="append", metavar="NAME", help="row of the benchmark; again for more (default: all)"
    )
    parser.add_argument(
        "--column", action="append", metavar="NAME", help="predictor of the tables; again for more (default: fusion)"
    )
    parser.add_argument("--baseline", metavar="ROW", help="what the others are compared with (default: the first row)")
    parser.add_argument(
        "--metric",
        choices=["mse", "mae", "rmse", "r2", "error_rate"],
        help="what is tested (default: mse; error_rate where all targets are classes)",
    )
    parser.add_argument(
        "--correction",
        choices=["holm", "bh", "none"],
        default="holm",
        help="of p-values for their number; with none no row is set bold (default: %(default)s)",
    )
    parser.add_argument("--all-pairs", action="store_true", help="also show every pair")
    parser.add_argument("--split", default="testing", help="which split (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of resamples and permutations (default: %(default)s)")
    parser.add_argument("--replicates", type=_positive, default=2000, help="of the bootstrap (default: %(default)s)")
    parser.add_argument("--permutations", type=_positive, default=9999, help="at least (default: %(default)s)")
    parser.add_argument("--out", metavar="DIR", help="write Markdown, CSV, JSON and figures there")


def run(args: argparse.Namespace) -> int:
    """Print the tables, and write them when asked to."""
    from medmd.comparison import compare_rows, comparison_table, explain, pair_table, rank_blocks, write_comparison
    from medmd.report.blocks import text_table

    tables = _rows(args)
    metric = args.metric or ("error_rate" if all(rows.classes for rows in tables) else "mse")
    comparisons = [
        compare_rows(
            rows,
            baseline=args.baseline,
            statistic=metric,
            correction=args.correction,
            seed=args.seed,
            replicates=args.replicates,
            permutations=args.permutations,
        )
        for rows in tables
    ]
    for comparison in comparisons:
        if comparison["dataset"]:
            print(f"\n{comparison['dataset']}")
        print(text_table(*comparison_table(comparison)))
        for line in explain(comparison):
            print(f"note: {line}")
        if args.all_pairs:
            print(text_table(*pair_table(comparison)))
    ranking = rank_blocks(tables, statistic=metric)
    if args.out:
        write_comparison(args.out, comparisons, ranking=ranking, all_pairs=args.all_pairs)
        print(f"comparison: {Path(args.out) / 'comparison.md'}")
    return 0


def _rows(args: argparse.Namespace) -> Sequence[Rows]:
    from medmd.benchmark import load_runs
    from medmd.comparison import rows_of_runs, rows_of_tables
    from medmd.utils import MedmdError

    if bool(args.work) == bool(args.source):
        msg = "expected either sources (runs or tables of predictions) or --work with the folder of a benchmark."
        raise MedmdError(msg)
    if args.work and args.column:
        msg = "--column: is for tables. With --work choose --row; a plan's row `of` a method reads a column."
        raise MedmdError(msg)
    if args.source and (args.row or args.dataset):
        msg = f"{'--row' if args.row else '--dataset'}: is for --work. Name the sources that are wanted, or --column."
        raise MedmdError(msg)
    if args.source:
        return [rows_of_tables(_named(args.source), columns=args.column, split=args.split)]
    runs = load_runs(args.work)
    begun = [name for name in runs.datasets if len(runs.predictions(name, args.split))]
    # Without any, the first tells why.
    wanted = args.dataset or begun or runs.datasets[:1]
    tables = [rows_of_runs(runs, name, only=args.row, split=args.split) for name in wanted]
    for problem in runs.problems:
        if not problem.startswith(
            tuple(f"{name}{mark}" for name in runs.datasets if name not in wanted for mark in ",:")
        ):
            print(f"note: {problem}")
    if not args.dataset and len(begun) < len(runs.datasets):
        print(f"note: no run has finished on {', '.join(name for name in runs.datasets if name not in wanted)}.")
    return tables


def _named(sources: Sequence[str]) -> list[tuple[str, str]]:
    """(name, path) of each source; the name of a path is that of its folder or file."""
    from medmd.utils import MedmdError

    found = [_pair(text) for text in sources]
    implied = [name for name, _, given in found if not given]
    doubled = sorted({name for name in implied if [each[0] for each in found].count(name) > 1})
    if doubled:
        msg = f"two sources are called {doubled[0]}. Write NAME=PATH; equal NAMEs are training seeds of one row."
        raise MedmdError(msg)
    return [(name, path) for name, path, _ in found]


def _pair(text: str) -> tuple[str, str, bool]:
    name, equals, path = text.partition("=")
    if equals and not Path(text).exists():
        return name, path, True
    place = Path(text)
    stem = place.resolve().parent.name if place.name == "predictions.csv" else place.stem
    return (stem or place.resolve().name), text, False


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        msg = f"must be at least 1, got {value}"
        raise argparse.ArgumentTypeError(msg)
    return value
