"""Check a datalist and the files it names: patients, contents, targets, hashes. Exit code 1 when it is refused."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from medmd.data import CheckReport


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("datalist", type=Path, metavar="DATALIST", help="the JSON file to check, or its folder")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the report as one HTML page")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON")
    parser.add_argument(
        "--headers-only", action="store_true", help="quick look: open headers, verify no hash, compare no content"
    )
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="threads that read files (default: 2)")


def run(args: argparse.Namespace) -> int:
    """Print the findings and the counts; 0 when nothing is refused, otherwise 1."""
    from medmd.commands._source import datalist_file
    from medmd.data import check_datalist
    from medmd.utils import write_atomic

    report = check_datalist(datalist_file(args.datalist), hashes=not args.headers_only, workers=args.workers)
    if args.json:
        write_atomic(args.json, report.to_json())
    if args.html:
        write_atomic(args.html, report.to_html())
    _show(report)
    return 0 if report.ok else 1


def _show(report: CheckReport) -> None:
    for finding in report.findings:
        print(finding)
    if report.summary:
        _show_summary(report)
    verdict = "usable" if report.ok else "refused"
    print(f"{report.name}: {verdict}; {len(report.refusals)} refusals, {len(report.warnings)} warnings")


def _show_summary(report: CheckReport) -> None:
    summary = report.summary
    print(f"{summary['name']}: {summary['cases']} cases of {summary['patients']} patients")
    for name, part in summary["splits"].items():
        print(f"  {name}: {part['cases']} cases, {part['patients']} patients, {part['targets']} targets")
    for name, spec in summary["inputs"].items():
        print(f"  input {name} ({spec['kind']}): {spec['present']} present, {spec['missing']} missing")
    target = summary["target"]
    if "classes" in target:
        print(f"  target {target['name']}: " + ", ".join(f"{name} {n}" for name, n in target["classes"].items()))
    elif "tasks" in target:
        print(f"  target {target['name']}: the tasks {', '.join(target['tasks'])}, {target['known']} known")
    elif target["known"]:
        print(
            f"  target {target['name']}: mean {target['mean']:.2f}, SD {target['std']:.2f}, "
            f"{target['min']:g} to {target['max']:g} {target['unit']}".rstrip()
        )
