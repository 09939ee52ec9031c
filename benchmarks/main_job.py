"""The main job as a user starts it: how long it takes, how much memory, and what comes out.

Runs `python -m monai.bundle run --config_file bundles/remd/train.json` in a new folder, phantom cohort included,
watches the memory of the process and its children, and writes docs/results/main_job.json and .md and the README's
picture. Run it from the repository root on an otherwise idle machine:

    python benchmarks/main_job.py
"""

from __future__ import annotations

import argparse
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from medmd.utils import read_json, write_atomic, write_json

ROOT = Path(__file__).resolve().parents[1]
CONFIG = "bundles/remd/train.json"
_POLL_SECONDS = 0.5
_ROWS = (
    ("pretrain_oct", "OCT alone (stage 1)"),
    ("pretrain_fundus", "fundus alone (stage 1)"),
    ("late_average", "late average of the two"),
    ("fusion", "fusion (Re-M3Dr)"),
    ("reference_constant", "constant (training mean)"),
    ("reference_information", "ceiling: information"),
    ("reference_label_noise", "ceiling: label noise"),
)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results", help="folder of the results")
    parser.add_argument("--picture", type=Path, default=ROOT / "docs" / "images" / "result.png", help="PNG to write")
    parser.add_argument("overrides", nargs="*", help="further words of the command: -- --train_epochs 2")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="medmd-main-job-") as folder:
        work = Path(folder)
        measured = _measure(work, args.overrides)
        result = {**measured, **_outcome(work / "run"), "environment": _environment(work / "run")}
        write_json(args.out / "main_job.json", result)
        write_atomic(args.out / "main_job.md", _page(result))
        args.picture.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(work / "run" / "report" / "figures" / "predictors.png", args.picture)
    print(_page(result))


def _measure(work: Path, overrides: list[str]) -> dict[str, Any]:
    places = ["--output_dir", str(work / "run"), "--phantom_dir", str(work / "phantom")]
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", CONFIG, *places, *overrides]
    start, peak = time.monotonic(), 0
    process = subprocess.Popen(command, cwd=ROOT)  # noqa: S603 - our own command
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        peak = max(peak, _memory(watched))
        time.sleep(_POLL_SECONDS)
    if process.returncode:
        sys.exit(f"The main job ended with code {process.returncode}.")
    return {
        "command": " ".join(["python", *command[1:6], *overrides]),
        "seconds": round(time.monotonic() - start, 1),
        "peak_memory_mib": round(peak / 2**20),
    }


def _memory(process: psutil.Process) -> int:
    """Resident memory of the process and its children; pages that they share are counted for each."""
    return sum(_resident(each) for each in [process, *process.children(recursive=True)])


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _outcome(run: Path) -> dict[str, Any]:
    metrics = read_json(run / "report" / "metrics.json")
    header = read_json(run / "datalist_header.json")
    return {
        "cohort": {"name": header["name"], "counts": header["counts"]},
        "test_cases": metrics["target"]["n"],
        "overall": {
            name: {key: metrics["overall"][name][key] for key in ("r2", "rmse", "mae")}
            for name, _ in _ROWS
            if name in metrics["overall"]
        },
    }


def _environment(run: Path) -> dict[str, Any]:
    found = dict(read_json(run / "run.json")["environment"])
    return {**found, "cpu_count": psutil.cpu_count(), "processor": _processor(), "system": platform.system()}


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _page(result: dict[str, Any]) -> str:
    environment = result["environment"]
    lines = [
        "# The main job, measured",
        "",
        "Written by `python benchmarks/main_job.py`: in a new folder, cohort included,",
        f"`{result['command']}`.",
        "",
        f"- {result['seconds'] / 60:.1f} minutes, at most {result['peak_memory_mib'] / 1024:.1f} GiB resident",
        f"- {environment['cpu_count']} cores, {environment['processor']}, {environment['threads']} threads, "
        f"device {environment['device']}",
        f"- {result['cohort']['counts']['cases']} synthetic eyes, {result['test_cases']} of them in the test split",
        f"- torch {environment['torch']}, monai {environment['monai']}, revision {_revision(environment)}",
        "",
        "| predictor | R2 [95 % interval] | RMSE (dB) | MAE (dB) |",
        "|---|---|---|---|",
    ]
    lines += [_row(label, result["overall"][name]) for name, label in _ROWS if name in result["overall"]]
    lines += ["", "Intervals: patient-clustered bootstrap of the test split. One seed; the eyes are synthetic.", ""]
    return "\n".join(lines)


def _revision(environment: dict[str, Any]) -> str:
    commit, *modified = str(environment["git_revision"]).split("-")
    return "-".join([commit[:12], *modified])


def _row(label: str, found: dict[str, Any]) -> str:
    r2 = found["r2"]
    interval = "" if r2["low"] is None else f" [{r2['low']:.2f}, {r2['high']:.2f}]"
    numbers = f"{found['rmse']['estimate']:.2f} | {found['mae']['estimate']:.2f}"
    return f"| {label} | {r2['estimate']:.3f}{interval} | {numbers} |"


if __name__ == "__main__":
    main()
