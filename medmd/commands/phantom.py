"""Write a synthetic cohort whose truth is known: OCT volumes, fundus photographs and a datalist.

The header of the datalist says how well any model can do: `label_noise` is the true MD as predictor, `information` the
best prediction from what the images show. The same arguments write the same bytes; run again, the command finishes what
was stopped and leaves the rest alone.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("out", metavar="OUT", help="folder to write to: new, empty, or holding the same cohort")
    parser.add_argument("--eyes", type=int, default=480, metavar="N", help="number of eyes (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=42, metavar="S", help="any whole number (default: %(default)s)")
    parser.add_argument(
        "--information", nargs="+", default=[], type=_pair, metavar="NAME=SHARE",
        help="squared correlation of what a modality shows with the severity (default: oct=0.75 fundus=0.65)",
    )  # fmt: skip
    parser.add_argument(
        "--tail", type=float, default=1.0,
        help="length of the tail of damaged eyes: 0 none, 1 a clinic's, up to 2 (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--missing", nargs="+", default=[], type=_pair, metavar="NAME=SHARE", help="share of eyes without a modality"
    )
    parser.add_argument(
        "--both-eyes", type=float, default=0.4, metavar="SHARE",
        help="share of patients who give both eyes (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--workers",
        type=int,
        default=None,
        metavar="W",
        help="processes (default: one a processor); no byte depends on it",
    )


def run(args: argparse.Namespace) -> int:
    """Write the cohort and print the ceilings of its test split."""
    from medmd.data.phantom import PhantomCohort

    cohort = PhantomCohort(
        args.eyes,
        args.seed,
        information=dict(args.information),
        tail=args.tail,
        both_eyes=args.both_eyes,
        missing=dict(args.missing),
    )
    path = cohort.write(args.out, workers=args.workers or os.cpu_count() or 1)
    print(f"{path}: {cohort.n} eyes of {len({eye.patient for eye in cohort.eyes})} patients")
    print("\n".join(_table(cohort.ceilings("testing"))))
    return 0


def _table(ceilings: Mapping[str, Mapping[str, float]]) -> Sequence[str]:
    lines = ["Best possible on the test split:", f"{'':<20}{'R2':>8}{'RMSE dB':>9}{'MAE dB':>8}{'eyes':>7}"]
    for name, row in ceilings.items():
        r2 = f"{row['r2']:.3f}" if "r2" in row else "-"
        lines.append(f"{name:<20}{r2:>8}{row['rmse']:>9.2f}{row['mae']:>8.2f}{row['eyes']:>7}")
    return lines


def _pair(text: str) -> tuple[str, float]:
    name, equals, value = text.partition("=")
    try:
        number = float(value)
    except ValueError:
        equals = ""
    if not equals:
        msg = f"expected NAME=SHARE such as oct=0.8, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return name, number
