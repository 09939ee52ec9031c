"""Print and write a table or figure of the paper from saved runs, with the paper's printed numbers beside ours.

Tables come from the runs of a benchmark (--work). Figures 2 and 5 need trainings that leave weights and the numbers of
every step; cost reads what benchmarks/step_cost.py measured; propositions needs nothing. --run trains what is missing.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medmd.reproduce import Item, Sources

_WHAT = ("table1", "table2", "fig1", "fig2", "fig5", "fig6", "settings", "backbones", "optimizers", "cost", "tail",
         "propositions")  # fmt: skip


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
    parser.add_argument("--seed", type=int, default=0, help="of resamples and permutations (default: %(default)s)")
    parser.add_argument("--replicates", type=_positive, default=2000, help="of the bootstrap (default: %(default)s)")
    parser.add_argument("--permutations", type=_positive, default=9999, help="at least (default: %(default)s)")
    parser.add_argument(
        "--datalist", metavar="FILE", help="of the data set: density of labels (tail), landscapes (fig2)"
    )
    parser.add_argument("--run-dir", action="append", metavar="[NAME=]DIR", help="finished training, for fig2 and fig5")
    parser.add_argument("--step-cost", metavar="FILE", help="JSON of benchmarks/step_cost.py, for cost")
    group = parser.add_argument_group("training what is missing")
    group.add_argument("--run", action="store_true", help="train what is missing in --work, then make the page")
    group.add_argument("--data", metavar="DIR", help="folder with the data set's datalist.json (default: the phantom)")
    group.add_argument(
        "--overlay", action="append", metavar="NAME", help="of the data set, as data/grape; again for more"
    )
    group.add_argument("--epochs", type=_positive, default=30, help="of a run, both stages (default: %(default)s)")
    group.add_argument("--eyes", type=_positive, default=480, help="of the phantom (default: %(default)s)")
    group.add_argument("--folds", type=_positive, help="by patient (default: the datalist's own split)")
    group.add_argument("--seeds", type=_positive, default=5, help="of each row (default: %(default)s)")
    group.add_argument("--jobs", type=_count, default=1, help="processes; 0 works in this one (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Make the page; train what is missing first when asked to."""
    from medmd.reproduce import Options, item_of, reproduce, write_page

    item = item_of(args.what)
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


def _sources(item: Item, args: argparse.Namespace) -> Sources:
    from medmd.benchmark import load_runs
    from medmd.reproduce import Sources

    work = Path(args.work) if args.work else None
    is_given = work is not None and (work / "plan.json").is_file()
    # Figures of single trainings need no benchmark in the folder.
    needed = item.kind not in ("curves", "modulation", "propositions")
    runs = load_runs(work) if work is not None and (is_given or needed) else None
    return Sources(
        runs=runs,
        dataset=args.dataset,
        datalist=_datalist(args),
        trainings=_trainings(item, args),
        step_cost=Path(args.step_cost) if args.step_cost else None,
    )


def _datalist(args: argparse.Namespace) -> Path | None:
    if args.datalist:
        return Path(args.datalist)
    folder = Path(args.data) if args.data else (_bundle_folder(args) / "phantom" if args.work else None)
    file = None if folder is None else folder / "datalist.json"
    return file if file is not None and file.is_file() else None


def _bundle_folder(args: argparse.Namespace) -> Path:
    return Path(args.work) / "bundle" / (args.dataset or "default")


def _trainings(item: Item, args: argparse.Namespace) -> dict[str, Path]:
    """Finished trainings: those named, and those that --run made."""
    given = [text.partition("=") for text in args.run_dir or ()]
    found = {(name if equals else "sgm-all"): Path(path if equals else name) for name, equals, path in given}
    if args.work and item.kind in ("curves", "modulation"):
        made = _bundle_folder(args)
        found |= {path.name: path for path in sorted(made.glob("*-*")) if (path / "run.json").is_file()}
    return found


def _train(item: Item, args: argparse.Namespace) -> None:
    from medmd.utils import MedmdError

    if not args.work:
        msg = "--run: expected --work with the folder in which to train."
        raise MedmdError(msg)
    if item.kind in ("curves", "modulation"):
        _train_bundle(item, args)
    elif item.kind in ("table", "bars", "sweep", "tail", "settings"):
        _train_benchmark(item, args)


def _train_bundle(item: Item, args: argparse.Namespace) -> None:
    from medmd.reproduce import bundle_run, trainings
    from medmd.utils import progress

    wanted = trainings() if item.kind == "curves" else {"sgm-all": trainings()["sgm-all"]}
    folder = _bundle_folder(args)
    place: dict[str, Any] = (
        {"dataset_dir": str(Path(args.data))}
        if args.data
        else {
            "phantom_dir": str(folder / "phantom"),
            "phantom#n": args.eyes,
        }
    )
    for name in progress(list(wanted), total=len(wanted), description="Training", unit="run"):
        overlays, settings = wanted[name]
        lengths = {"pretrain_epochs": args.epochs, "train_epochs": args.epochs}
        bundle_run(
            folder / name,
            overlays=[*(args.overlay or ()), *overlays],
            overrides={**place, **lengths, "seed": args.seed, **settings},
        )


def _train_benchmark(item: Item, args: argparse.Namespace) -> None:
    from medmd.reproduce import run_missing

    name = args.dataset or (Path(args.overlay[0]).name if args.overlay else "phantom")
    dataset: dict[str, Any] = {"name": name, "epochs": args.epochs, "overlays": list(args.overlay or ())}
    dataset |= {} if args.data else {"phantom": {"n": args.eyes, "seed": 42}}
    dataset |= {"folds": args.folds} if args.folds else {}
    for line in run_missing(
        item, Path(args.work), dataset, seeds=args.seeds, jobs=args.jobs, data=Path(args.data) if args.data else None
    ):
        print(f"note: {line}")


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
