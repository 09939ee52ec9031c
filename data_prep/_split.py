"""How a converter splits its cases, and the command-line arguments that say so."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from medmd.utils import MedmdError

if TYPE_CHECKING:
    from medmd.data import Case, TargetSpec

_TEST = 0.2
_VALIDATION = 0.1


@dataclass(frozen=True, kw_only=True)
class SplitOptions:
    """A split by patient: by fractions, as one of several folds, or none.

    Args:
        test_fraction: share of the cases to test on, 0 for none; with fractions only.
        validation_fraction: share of the cases to validate on, 0 for none; with fractions only.
        seed: chooses among the equally good splits.
        folds: number of folds, None for fractions.
        fold: which fold to write, from 0; with folds only.
        unsplit: write one list and leave the split to later steps.
    """

    test_fraction: float = _TEST
    validation_fraction: float = _VALIDATION
    seed: int = 0
    folds: int | None = None
    fold: int | None = None
    unsplit: bool = False

    def check(self) -> None:
        """Check that the options go together.

        Raises:
            MedmdError: they do not.
        """
        if self.unsplit and self.folds is not None:
            _refuse("expected --unsplit or --folds, got both")
        if (self.folds is None) != (self.fold is None):
            _refuse("expected --folds K together with --fold I, got one of them")
        if self.folds is not None and self.fold is not None and not (self.folds >= 2 and 0 <= self.fold < self.folds):
            _refuse(
                f"expected 2 or more folds and a fold from 0 to folds - 1, got --folds {self.folds} --fold {self.fold}"
            )
        shares = (self.test_fraction, self.validation_fraction)
        if not all(0 <= share < 1 for share in shares) or sum(shares) >= 1:
            _refuse(
                f"expected fractions of at least 0 that leave something to train on, got {shares[0]} and {shares[1]}"
            )

    def as_json(self) -> dict[str, Any]:
        """What the split depends on, as JSON values."""
        if self.unsplit:
            return {"unsplit": True}
        if self.folds is not None:
            return {"folds": self.folds, "fold": self.fold, "seed": self.seed}
        return {
            "test_fraction": self.test_fraction,
            "validation_fraction": self.validation_fraction,
            "seed": self.seed,
        }


def split_cases(cases: Sequence[Case], options: SplitOptions, target: TargetSpec) -> Mapping[str, Sequence[Case]]:
    """The cases by split, all of a patient in one, stratified by `target`.

    Raises:
        MedmdError: fewer patients than parts.
    """
    from medmd.data import split_by_patient

    if options.unsplit:
        return {"unsplit": list(cases)}
    if options.folds is not None and options.fold is not None:
        return split_by_patient(cases, seed=options.seed, folds=options.folds, target=target)[options.fold]
    held_out = {"validation": options.validation_fraction, "testing": options.test_fraction}
    fractions = {"training": 1 - sum(held_out.values()), **held_out}
    asked = {name: share for name, share in fractions.items() if share > 0}
    return split_by_patient(cases, seed=options.seed, fractions=asked, target=target)


def describe_splits(splits: Mapping[str, Sequence[Case]]) -> dict[str, dict[str, int]]:
    """Cases and patients of every split."""
    return {
        name: {"cases": len(cases), "patients": len({case.patient_id for case in cases})}
        for name, cases in splits.items()
    }


def add_split_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the split to a converter's command."""
    group = parser.add_argument_group("split by subject")
    group.add_argument(
        "--test-fraction", type=float, default=_TEST, metavar="F", help="share to test on (default: %(default)s)"
    )
    group.add_argument(
        "--validation-fraction",
        type=float,
        default=_VALIDATION,
        metavar="F",
        help="share to validate on (default: %(default)s)",
    )
    group.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the split (default: %(default)s)")
    group.add_argument("--folds", type=int, metavar="K", help="K folds instead of fractions; needs --fold")
    group.add_argument("--fold", type=int, metavar="I", help="the fold to write, 0 to K - 1")
    group.add_argument("--unsplit", action="store_true", help="write one list, split by later steps")


def read_split_arguments(arguments: argparse.Namespace) -> SplitOptions:
    """The split that the arguments of `add_split_arguments` ask for."""
    return SplitOptions(
        test_fraction=arguments.test_fraction,
        validation_fraction=arguments.validation_fraction,
        seed=arguments.seed,
        folds=arguments.folds,
        fold=arguments.fold,
        unsplit=arguments.unsplit,
    )


def _refuse(what: str) -> None:
    msg = f"The split: {what}."
    raise MedmdError(msg)
