"""What a benchmark still lacks, as the end of a page."""

from __future__ import annotations

from medmd.benchmark import Runs


def missing_section(runs: Runs) -> str:
    """A heading and a line for each method without all of its runs; one for a data set of which there is nothing."""
    if not runs.problems:
        return ""
    absent = [name for name in runs.datasets if name not in set(runs.results["dataset"])]
    shown = [f"- {runs.title(name)}: nothing has been run yet." for name in absent]
    shown += [f"- {each}" for each in runs.problems if not each.startswith(tuple(f"{name}, " for name in absent))]
    return "\n".join(["## What is missing", "", *shown])
