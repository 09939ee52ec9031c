"""The paper's tables and figures from saved runs, its printed numbers beside ours.

Matplotlib is imported only when a figure is drawn, torch only for figures that need trained weights.
"""

from medmd.reproduce._bundle import bundle_run, trainings
from medmd.reproduce._compared import Options
from medmd.reproduce._items import ITEMS, Item
from medmd.reproduce._lines import Line
from medmd.reproduce._made import datalist_of, made_trainings, named_trainings, train_missing
from medmd.reproduce._page import Page, write_page
from medmd.reproduce._paper import paper
from medmd.reproduce._plan import plan_for
from medmd.reproduce._reproduce import Sources, item_of, reproduce
from medmd.reproduce._run import run_missing
from medmd.reproduce._select import select

__all__ = [
    "ITEMS",
    "Item",
    "Line",
    "Options",
    "Page",
    "Sources",
    "bundle_run",
    "datalist_of",
    "item_of",
    "made_trainings",
    "named_trainings",
    "paper",
    "plan_for",
    "reproduce",
    "run_missing",
    "select",
    "train_missing",
    "trainings",
    "write_page",
]
