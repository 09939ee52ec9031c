"""Compare methods on data sets: run what a plan lacks, each run as a user would train it.

A stopped benchmark goes on where it stood when the same command is given again; a run that fails is recorded and does
not end it. `medmd compare --work W` and `medmd reproduce --work W` read what it leaves.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("plan", metavar="PLAN", help="a plan in YAML, or the name of one of the bundle, such as smoke")
    parser.add_argument("--work", required=True, metavar="DIR", help="folder of the runs; a stopped benchmark goes on")
    parser.add_argument(
        "--jobs", type=int, metavar="N", help="processes (default: one a core; 0: work in this process)"
    )
    parser.add_argument("--scheduler", metavar="ADDRESS", help="work on a Dask cluster, such as tcp://host:8786")
    parser.add_argument(
        "--data", nargs="+", default=[], type=_pair, metavar="NAME=DIR", help="where data sets of the plan are"
    )
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="data sets and methods to run now")
    parser.add_argument("--retry-failed", action="store_true", help="repeat the runs and searches that failed")
    parser.add_argument("--no-tracking", action="store_true", help="tell MLflow nothing")
    parser.add_argument("--dry-run", action="store_true", help="print what would run and how long it may take")


def run(args: argparse.Namespace) -> int:
    """Run the benchmark; 1 when a run or a search of it failed."""
    from medmd.benchmark import Work, describe_work, failed_searches, read_plan, run_plan
    from medmd.utils import MedmdError

    if args.jobs is not None and args.jobs < 0:
        msg = f"--jobs: expected 0 or more, got {args.jobs}."
        raise MedmdError(msg)
    plan = read_plan(_plan_file(args.plan))
    if args.dry_run:
        print("\n".join(describe_work(plan, args.work, only=args.only, retry_failed=args.retry_failed, jobs=args.jobs)))
        return 0
    runs = run_plan(
        plan,
        args.work,
        jobs=args.jobs,
        scheduler=args.scheduler,
        only=args.only,
        retry_failed=args.retry_failed,
        data=dict(args.data),
        tracking=not args.no_tracking,
    )
    counts = runs.results["status"].value_counts()
    finished, failed = int(counts.get("finished", 0)), int(counts.get("failed", 0))
    for problem in runs.problems:
        print(problem)
    searches = len(failed_searches(Work(Path(args.work))))
    also = f", {searches} searches failed" if searches else ""
    print(f"{finished} runs finished, {failed} failed{also}, in {args.work}")
    return 1 if failed or searches else 0


def _plan_file(name: str) -> Path:
    from medmd.commands.bundle_path import bundle_folder
    from medmd.utils import MedmdError

    given, folder = Path(name), bundle_folder() / "plans"
    shipped = folder / f"{name}.yaml"
    if not given.exists() and not shipped.is_file():
        msg = f"{name}: no such plan. Expected a YAML file, or one of the bundle: {_plans(folder)}."
        raise MedmdError(msg)
    return given if given.is_file() or not shipped.is_file() else shipped


def _plans(folder: Path) -> str:
    return ", ".join(sorted(path.stem for path in folder.glob("*.yaml")))


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        msg = f"expected NAME=DIR such as grape=data/grape, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return name, value
