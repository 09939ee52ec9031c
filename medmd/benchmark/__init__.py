"""Methods compared on data sets: a plan, its runs, and the one reader of what they left."""

from medmd.benchmark._runs import Row, Runs, load_runs
from medmd.benchmark._work import RunKey, Work, write_run

__all__ = ["Row", "RunKey", "Runs", "Work", "load_runs", "write_run"]
