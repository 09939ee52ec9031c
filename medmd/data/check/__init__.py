"""The check that every datalist passes before it is used, and its report."""

from medmd.data.check._check import check_datalist, content_digests, run_check
from medmd.data.check._findings import CheckReport, Finding

__all__ = ["CheckReport", "Finding", "check_datalist", "content_digests", "run_check"]
