"""Predictors compared on saved predictions: intervals, paired tests, corrections, and one table that says what holds.

Matplotlib is imported only when a figure is drawn.
"""

from medmd.comparison._compare import HIGHER_IS_BETTER, Comparison, compare_rows, implied_variance
from medmd.comparison._critical import rank_blocks
from medmd.comparison._sources import Rows, rows_of_runs, rows_of_tables
from medmd.comparison._write import write_comparison
from medmd.comparison.formatting import comparison_table, explain, pair_table

__all__ = [
    "HIGHER_IS_BETTER",
    "Comparison",
    "Rows",
    "compare_rows",
    "comparison_table",
    "explain",
    "implied_variance",
    "pair_table",
    "rank_blocks",
    "rows_of_runs",
    "rows_of_tables",
    "write_comparison",
]
