"""The check that every datalist passes before it is used, and its report."""

from medmd.data.check._check import check_datalist, content_digests, run_check
from medmd.data.check._files import Seen, look_at_files
from medmd.data.check._findings import CheckReport, Finding
from medmd.data.check._histogram import COLOURS, histogram_svg
from medmd.data.check._records import record_findings
from medmd.data.check._summary import summarise

__all__ = [
    "COLOURS",
    "CheckReport",
    "Finding",
    "Seen",
    "check_datalist",
    "content_digests",
    "histogram_svg",
    "look_at_files",
    "record_findings",
    "run_check",
    "summarise",
]
