"""The check that every datalist passes before it is used, and its report."""

from medmd.data.check._check import check_datalist, content_digests, run_check
from medmd.data.check._findings import CheckReport, Finding
from medmd.data.check._records import record_findings

__all__ = ["CheckReport", "Finding", "check_datalist", "content_digests", "record_findings", "run_check"]
