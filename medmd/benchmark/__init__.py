"""Methods compared on data sets: a plan, its runs, and the one reader of what they left.

What needs torch is imported at first use, so that reading runs starts quickly.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from medmd.benchmark._estimate import describe_work
from medmd.benchmark._plan import DatasetPlan, Limits, MethodPlan, Plan, TuningPlan
from medmd.benchmark._plan_read import make_plan, read_plan
from medmd.benchmark._rows import Row
from medmd.benchmark._runs import Runs, load_runs
from medmd.benchmark._searches import failed_searches
from medmd.benchmark._work import RunKey, Work
from medmd.benchmark._write_run import write_run

if TYPE_CHECKING:
    from medmd.benchmark._engine import run_plan

__all__ = [
    "DatasetPlan",
    "Limits",
    "MethodPlan",
    "Plan",
    "Row",
    "RunKey",
    "Runs",
    "TuningPlan",
    "Work",
    "describe_work",
    "failed_searches",
    "load_runs",
    "make_plan",
    "read_plan",
    "run_plan",
    "write_run",
]

_LAZY = {"run_plan": "medmd.benchmark._engine"}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(_LAZY[name]), name)
