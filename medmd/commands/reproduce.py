"""Print and write a table or figure of the paper from saved runs, with the paper's printed numbers beside ours.

Tables come from the runs of a benchmark (--work). Figures 2 and 5 need trainings that leave weights and the numbers of
every step; cost reads what benchmarks/step_cost.py measured; propositions needs nothing. --run trains what is missing.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from medmd.reproduce import Item, Sources

_WHAT = ("table1", "table2", "fig1", "fig2", "fig5", "fig6", "settings", "backbones", "optimizers", "cost", "tail",
         "propositions")  # fmt: skip
# Kinds of items by what is trained for them.
_OF_BENCHMARKS = ("table", "bars", "sweep", "tail", "settings")
_OF_BUNDLES = ("curves", "modulation")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument("what", metavar="WHAT", help=", ".join(_WHAT))
    parser.add_argument("--work", metavar="DIR", help="folder of a benchmark")
    parser.add_argument("--dataset", metavar="NAME", help="data set of it (default: its only one; settings: all)")
    parser.add_argument("--out", metavar="DIR", help="write Markdown, CSV and figures there")
    parser.add_argument(
        "--metric", choices=["mse", "mae", "rmse", "r2"], default="mse", help="tested (default: %(default)s)"
    )
    parser.add_argument("--correction", choices=["holm", "bh", "none"], default="holm", help="default: %(default)s")
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="of resamples and permutations, and of trainings for fig2 and fig5 (default: %(default)s)",
    )
    parser.add_argument("--replicates", type=_positive, default=2000, help="of the bootstrap (default: %(default)s)")
    parser.add_argument("--permutations", type=_positive, default=9999, help="at least (default: %(default)s)")
    parser.add_argument(
        "--datalist", metavar="FILE", help="of the data set: density of labels (tail), landscapes (fig2)"
    )
    parser.add_argument("--run-dir", action="append", metavar="[NAME=]DIR", help="finished training, for fig2 and fig5")
    parser.add_argument("--step-cost", metavar="FILE", help="JSON of benchmarks/step_cost.py, for cost")
    _add_training(
        parser.add_argument_group(
            "training what is missing", "Defaults are of what is new: what is planned in --work stays as it is."
        )
    )


def _add_training(group: argparse._ArgumentGroup) -> None:
    """Options without a default, so that what was asked for can be told from what was not."""
    group.add_argument(
        "--run",
        action="store_true",
        help="train what is missing in --work, then make the page; cost and propositions train nothing",
    )
    group.add_argument("--data", metavar="DIR", help="folder with the data set's datalist.json (default: the phantom)")
    group.add_argument(
        "--overlay", action="append", metavar="NAME", help="of the data set, as data/grape; again for more"
    )
    group.add_argument("--epochs", type=_positive, help="of a run, both stages (default: 30)")
    group.add_argument("--eyes", type=_positive, help="of the phantom (default: 480)")
    group.add_argument("--folds", type=_positive, help="by patient (default: the datalist's own split)")
    group.add_argument("--seeds", type=_positive, help="of each row; more are added to those planned (default: 5)")
    group.add_argument("--jobs", type=_count, help="processes; 0 works in this one (default: 1)")


def run(args: argparse.Namespace) -> int:
    """Make the page; train what is missing first when asked to."""
    from medmd.reproduce import Options, item_of, reproduce, write_page

    item = item_of(args.what)
    _check_training(item, args)
    if args.run:
        _train(item, args)
    options = Options(
        statistic=args.metric,
        correction=args.correction,
        seed=args.seed,
        replicates=args.replicates,
        permutations=args.permutations,
    )
    page = reproduce(args.what, _sources(item, args), options=options)
    print(page.text())
    if args.out:
        write_page(args.out, page)
        print(f"page: {Path(args.out) / page.name}.md")
    return 0


def _check_training(item: Item, args: argparse.Namespace) -> None:
    """Refuse options that nothing would use."""
    from medmd.utils import MedmdError

    given = [
        name for name in ("overlay", "epochs", "eyes", "folds", "seeds", "jobs") if getattr(args, name) is not None
    ]
    msg = ""
    if given and not args.run:
        msg = f"--{given[0]}: is of what --run trains. Name --run too, or leave it out."
    elif args.run and item.kind not in (*_OF_BENCHMARKS, *_OF_BUNDLES):
        msg = f"--run: nothing is trained for {item.name}. Leave it out."
    elif args.run and not args.work:
        msg = "--run: expected --work with the folder in which to train."
    elif args.eyes and args.data:
        msg = "--eyes: is of the phantom, and --data names a data set. Leave one of them out."
    elif item.kind in _OF_BUNDLES and (wrong := [name for name in given if name in ("folds", "seeds", "jobs")]):
        msg = f"--{wrong[0]}: {item.name} is made from single trainings, one after the other. Leave it out."
    if msg:
        raise MedmdError(msg)


def _sources(item: Item, args: argparse.Namespace) -> Sources:
    from medmd.benchmark import load_runs
    from medmd.reproduce import Sources, datalist_of

    work = Path(args.work) if args.work else None
    is_given = work is not None and (work / "plan.json").is_file()
    # Figures of single trainings need no benchmark in the folder.
    needed = item.kind not in ("curves", "modulation", "propositions")
    runs = load_runs(work) if work is not None and (is_given or needed) else None
    trainings = _trainings(item, args)
    datalist = _named_datalist(args)
    if datalist is None and args.work and item.kind == "curves":
        datalist = datalist_of(trainings, [_bundle_folder(args) / "phantom" / "datalist.json"])
    return Sources(
        runs=runs,
        dataset=args.dataset,
        datalist=datalist,
        trainings=trainings,
        step_cost=Path(args.step_cost) if args.step_cost else None,
    )


def _named_datalist(args: argparse.Namespace) -> Path | None:
    given = args.datalist or args.data
    path = Path(given) if given else None
    return path / "datalist.json" if path is not None and path.suffix != ".json" else path


def _bundle_folder(args: argparse.Namespace) -> Path:
    return Path(args.work) / "bundle" / (args.dataset or "default")


def _trainings(item: Item, args: argparse.Namespace) -> dict[str, Path]:
    """Finished trainings: those that --run made, and those named, which come first."""
    from medmd.reproduce import made_trainings

    made = made_trainings(_bundle_folder(args)) if args.work and item.kind in _OF_BUNDLES else {}
    return {**made, **_named(args)}


def _named(args: argparse.Namespace) -> dict[str, Path]:
    from medmd.reproduce import named_trainings

    return named_trainings(args.run_dir or ())


def _train(item: Item, args: argparse.Namespace) -> None:
    if item.kind in _OF_BUNDLES:
        _train_bundle(item, args)
    else:
        _train_benchmark(item, args)


def _train_bundle(item: Item, args: argparse.Namespace) -> None:
    from medmd.reproduce import train_missing

    train_missing(
        item,
        _bundle_folder(args),
        overlays=args.overlay or (),
        epochs=args.epochs,
        seed=args.seed,
        data=Path(args.data) if args.data else None,
        eyes=args.eyes,
        named=_named(args),
    )


def _train_benchmark(item: Item, args: argparse.Namespace) -> None:
    from medmd.reproduce import run_missing

    name = _dataset(args)
    phantom = None if args.eyes is None else {"n": args.eyes}
    asked = {"overlays": args.overlay, "epochs": args.epochs, "folds": args.folds, "phantom": phantom}
    dataset = {"name": name, **{key: value for key, value in asked.items() if value is not None}}
    data = Path(args.data) if args.data else None
    jobs = 1 if args.jobs is None else args.jobs
    for line in run_missing(item, Path(args.work), dataset, seeds=args.seeds, jobs=jobs, data=data):
        print(f"note: {line}")
    if item.kind != "settings":
        # The page is of what was trained, whatever else the folder holds.
        args.dataset = name


def _dataset(args: argparse.Namespace) -> str:
    """The data set to train on: the named one, the plan's only one, or a new one."""
    from medmd.utils import MedmdError, read_json

    plan = Path(args.work) / "plan.json"
    names = [each["name"] for each in read_json(plan)["datasets"]] if plan.is_file() else []
    new = Path(args.overlay[0]).stem if args.overlay else "phantom"
    if not args.dataset and len(names) > 1:
        msg = f"--dataset: expected one of {', '.join(names)}, or the name of a new one; got none."
        raise MedmdError(msg)
    return args.dataset or next(iter(names), new)


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        msg = f"must be at least 0, got {value}"
        raise argparse.ArgumentTypeError(msg)
    return value


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        msg = f"must be at least 1, got {value}"
        raise argparse.ArgumentTypeError(msg)
    return value
