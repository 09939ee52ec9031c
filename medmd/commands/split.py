"""Split a datalist by patient, alike in severity; patients that share identical content stay together.

OUT must lie in a folder that holds the files of DATALIST, since paths are relative. With --folds K the files
OUT-fold0 … OUT-fold(K-1) are written beside each other.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medmd.commands._source import datalist_file
from medmd.utils import MedmdError

if TYPE_CHECKING:
    from medmd.data import Case, Datalist


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "datalist", type=Path, metavar="DATALIST", help="the JSON file whose cases are split, or its folder"
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="the JSON file to write")
    parser.add_argument("--seed", type=int, default=0, help="chooses among equally good splits (default: 0)")
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--fractions",
        type=float,
        nargs=3,
        metavar=("TRAINING", "VALIDATION", "TESTING"),
        help="shares of the cases, summing to 1; 0 leaves a list out (default: 0.7 0.15 0.15)",
    )
    how.add_argument("--folds", type=int, metavar="K", help="K folds for cross-validation instead")
    parser.add_argument(
        "--edges",
        type=float,
        nargs="+",
        metavar="BOUND",
        help="bounds between the strata of severity (default: -12 -6 for MD in dB, tertiles otherwise)",
    )
    parser.add_argument("--resplit", action="store_true", help="allow cases that are in training or testing lists now")
    parser.add_argument("--overwrite", action="store_true", help="replace OUT when it exists")
    parser.add_argument(
        "--declared-hashes", action="store_true", help="trust the hashes in DATALIST instead of reading every file"
    )
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="threads that read files (default: 2)")


def run(args: argparse.Namespace) -> int:
    """Write the split and print its sizes."""
    from medmd.data import load_datalist, split_by_patient, write_datalist
    from medmd.data.check import content_digests

    source = datalist_file(args.datalist)
    datalist = load_datalist(source)
    outputs = _outputs(args.out, args.folds)
    _refuse(args, source.name, datalist, outputs)
    options: dict[str, Any] = {
        "seed": args.seed,
        "target": datalist.header.target,
        "edges": args.edges,
        "contents": None if args.declared_hashes else content_digests(datalist, workers=args.workers),
    }
    cases = [case for _, case in datalist.cases()]
    try:
        if args.folds is None:
            made = [split_by_patient(cases, fractions=_fractions(args.fractions), **options)]
        else:
            made = split_by_patient(cases, folds=args.folds, **options)
    except MedmdError:
        raise
    except ValueError as error:
        raise MedmdError(str(error)) from error
    for number, (path, parts) in enumerate(zip(outputs, made, strict=True)):
        write_datalist(path, _rebased(datalist, parts, _provenance(args, number)))
        _show(path, parts)
    return 0


def _outputs(out: Path, folds: int | None) -> list[Path]:
    if folds is None:
        return [out]
    return [out.with_name(f"{out.stem}-fold{number}{out.suffix or '.json'}") for number in range(folds)]


def _refuse(args: argparse.Namespace, name: str, datalist: Datalist, outputs: Sequence[Path]) -> None:
    if set(datalist.splits) != {"unsplit"} and not args.resplit:
        msg = (
            f"{name}: expected the list unsplit, got {', '.join(datalist.splits)}. Its cases are split "
            "already: a new split may test on cases that a model was trained on. Use --resplit if no model depends "
            "on it."
        )
        raise MedmdError(msg)
    existing = [path.name for path in outputs if path.exists()]
    if existing and not args.overwrite:
        msg = f"{', '.join(existing)}: expected no such file, it exists. Choose another OUT or use --overwrite."
        raise MedmdError(msg)


def _fractions(given: Sequence[float] | None) -> dict[str, float] | None:
    if given is None:
        return None
    return {name: share for name, share in zip(("training", "validation", "testing"), given, strict=True) if share}


def _rebased(datalist: Datalist, parts: Mapping[str, Sequence[Case]], provenance: Mapping[str, Any]) -> Datalist:
    """The cases with absolute paths, which the writer makes relative to the new file."""
    folder = (datalist.folder or Path()).absolute()

    def moved(case: Case) -> Case:
        inputs = {name: str(folder / value) if isinstance(value, str) else value for name, value in case.inputs.items()}
        return replace(case, inputs=inputs)

    header = replace(datalist.header, details={**datalist.header.details, "split": dict(provenance)})
    splits = {name: [moved(case) for case in cases] for name, cases in parts.items()}
    return replace(datalist, header=header, splits=splits, path=None)


def _provenance(args: argparse.Namespace, number: int) -> dict[str, Any]:
    how: dict[str, Any] = {"by": "patient", "seed": args.seed, "contents": not args.declared_hashes}
    if args.edges:
        how["edges"] = args.edges
    if args.folds is None:
        return {**how, "fractions": args.fractions or [0.7, 0.15, 0.15]}
    return {**how, "folds": args.folds, "fold": number}


def _show(path: Path, parts: Mapping[str, Sequence[Case]]) -> None:
    total = sum(len(cases) for cases in parts.values())
    print(path.name)
    for name, cases in parts.items():
        patients = len({case.patient_id for case in cases})
        print(f"  {name}: {len(cases)} cases ({len(cases) / total:.1%}), {patients} patients")
