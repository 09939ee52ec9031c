"""Searches of settings that came to nothing: why stands beside what they tried, until they are begun again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medmd.benchmark._job import TuningJob
from medmd.benchmark._work import FORMAT, Work
from medmd.utils import read_json, write_json


def note_failure(job: TuningJob, error: Mapping[str, str]) -> None:
    """Write down why a search failed.

    Args:
        job: the search.
        error: `type` and `message`.

    Raises:
        WriteError: it cannot be written.
    """
    key = job.first.key
    about = {"format": FORMAT, "dataset": key.dataset, "method": key.method, "fold": key.fold}
    write_json(job.first.place.search_failure(*key[:3]), {**about, "error": dict(error)})


def forget_failure(job: TuningJob) -> None:
    """A search that is begun again has not failed."""
    job.first.place.search_failure(*job.first.key[:3]).unlink(missing_ok=True)


def failed_searches(work: Work) -> list[str]:
    """A sentence for each search of a benchmark that failed, in a fixed order.

    Args:
        work: its folder.
    """
    return [_sentence(read_json(path)) for path in sorted((work.root / "tuning").glob("*/*/failed-fold*.json"))]


def _sentence(found: Mapping[str, Any]) -> str:
    where = f"{found['dataset']}, {found['method']}, fold {found['fold']}"
    return f"{where}: the search of settings failed: {found['error']['type']}: {found['error']['message']}"
