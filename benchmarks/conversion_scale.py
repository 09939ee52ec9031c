"""How time and memory of `python -m data_prep.hospital` grow with the export: synthetic exports of small studies.

A study is one eye's OCT volume, photograph and visual field as DICOM. Each export is converted in a process of its own;
memory is that of the process and of its largest worker. Writes OUT/conversion_scale.json, .md and .png. From the
repository's root, on an otherwise idle machine:

    python -m benchmarks.conversion_scale --work WORK --out docs/results
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import date, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil

from medmd.utils import progress, write_atomic, write_json

ROOT = Path(__file__).resolve().parents[1]
SIZES = (300, 1000, 3000, 10000)
_POLL_SECONDS = 0.2
_SITE = "name: synthetic\noct: {min_slices: 4}\nquality: {max_saturated_volume: 1.0, min_slice_similarity: -1.0}\n"


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder of the exports and their conversions")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results", help="folder of the results")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="studies of each export")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--volumes", type=int, default=16, help="volumes of full size for one worker against two")
    parser.add_argument("--site", type=Path, help="a site file in place of the benchmark's own")
    options = parser.parse_args(arguments)
    options.work.mkdir(parents=True, exist_ok=True)
    site = options.site or _write_site(options.work)
    one_and_two = _measure_workers(options.work, options.volumes, site)
    result = {"workers": options.workers, "rows": [], "full_size": one_and_two, "environment": _environment()}
    for size in options.sizes:
        result["rows"].append(_measure(options.work, size, options.workers, site))
        # After each, so that a measurement that is stopped leaves what it has.
        _write(result, options.out)
    print(_page(result))
    return result


def _write(result: dict[str, Any], folder: Path) -> None:
    write_json(folder / "conversion_scale.json", result)
    write_atomic(folder / "conversion_scale.md", _page(result))
    draw(result["rows"], folder / "conversion_scale.png")


def write_export(folder: Path, studies: int, workers: int) -> None:
    """Write an export of `studies` eyes, two of each patient."""
    done = folder / "complete"
    if done.exists():
        return
    with ProcessPoolExecutor(workers) as pool:
        numbers = list(range(studies))
        found = pool.map(_write_study, [folder] * studies, numbers, chunksize=20)
        for _ in progress(found, total=studies, description="Writing studies"):
            pass
    done.touch()


def _write_study(folder: Path, number: int) -> None:
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    clinical, common = import_module("clinical_dicom"), import_module("clinical_dicom_common")
    person = common.Person(
        f"S{number // 2:06d}", f"Family{number}^Given", date(1940 + number % 60, 2, 3), "FM"[number % 2]
    )
    day = date(2015, 1, 1) + timedelta(days=number % 2000)
    who = {"person": person, "laterality": "RL"[number % 2], "day": day}
    place = folder / f"{number // 500:03d}" / f"{number:06d}"
    volume = clinical.bscans((8, 96, 64), seed=number)
    common.save(clinical.oct_volume(volume, **who), place / "a")
    common.save(clinical.photograph(clinical.fundus((96, 104), seed=number), **who), place / "b")
    common.save(clinical.visual_field(md=-(number % 200) / 10, **who), place / "c")


def _write_volume(folder: Path, number: int) -> None:
    """A volume of 256 slices of 992 x 512 as baseline JPEG, and a visual field of the same eye."""
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    clinical, common = import_module("clinical_dicom"), import_module("clinical_dicom_common")
    who = {"person": common.Person(f"V{number:03d}"), "laterality": "R", "day": date(2020, 1, 1)}
    volume = clinical.bscans((256, 992, 512), seed=number)
    common.save(clinical.oct_volume(volume, syntax="1.2.840.10008.1.2.4.50", **who), folder / f"{number}a")
    common.save(clinical.visual_field(md=-float(number), **who), folder / f"{number}b")


def _measure_workers(work: Path, volumes: int, site: Path) -> dict[str, Any]:
    """Conversions of the same volumes of full size by one worker and by two, each into a new folder."""
    folder = work / f"full-{volumes}"
    if not folder.exists():
        for number in progress(range(volumes), total=volumes, description="Writing volumes"):
            _write_volume(work / "full-part", number)
        (work / "full-part").rename(folder)
    found: dict[str, Any] = {"volumes": volumes}
    for workers in (1, 2):
        out = work / f"full-out-{workers}-{time.monotonic_ns()}"
        seconds, main_peak, worker_peak = _watch(_command(folder, out, site, workers), _variables())
        found[f"seconds_{workers}"] = round(seconds, 1)
        found[f"main_peak_mib_{workers}"], found[f"worker_peak_mib_{workers}"] = main_peak >> 20, worker_peak >> 20
        found["converted"] = len(list((out / "oct").glob("*")))
    found["ratio"] = round(found["seconds_1"] / found["seconds_2"], 2)
    return found


def _command(export: Path, out: Path, site: Path, workers: int) -> list[str]:
    words = ["-m", "data_prep.hospital", str(export), str(out), "--config", str(site), "--workers", str(workers)]
    return [sys.executable, *words]


def _variables() -> dict[str, str]:
    return {**os.environ, "MEDMD_PSEUDONYM_KEY": "a key for synthetic people", "OMP_NUM_THREADS": "1"}


def _write_site(work: Path) -> Path:
    # Small synthetic images fail limits that are meant for real ones.
    path = work / "site.yaml"
    path.write_text(_SITE, encoding="utf-8")
    return path


def _measure(work: Path, studies: int, workers: int, site: Path) -> dict[str, Any]:
    export, out = work / f"export-{studies}", work / f"out-{studies}"
    write_export(export / "files", studies, workers)
    command = _command(export / "files", out, site, workers)
    seconds, main_peak, worker_peak = _watch(command, _variables())
    again, _, _ = _watch(command, _variables())
    return {
        "studies": studies,
        "files": 3 * studies,
        "seconds": round(seconds, 1),
        "files_a_second": round(3 * studies / seconds, 1),
        "second_run_seconds": round(again, 1),
        "main_peak_mib": main_peak // 2**20,
        "worker_peak_mib": worker_peak // 2**20,
        "converted": len(list((out / "oct").glob("*"))),
    }


def _watch(command: list[str], environment: dict[str, str]) -> tuple[float, int, int]:
    """Seconds, peak memory of the process, and of its largest child."""
    start, main_peak, worker_peak = time.monotonic(), 0, 0
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)  # noqa: S603 - our own
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        main_peak = max(main_peak, _resident(watched))
        worker_peak = max([worker_peak, *(_resident(child) for child in _children(watched))])
        time.sleep(_POLL_SECONDS)
    if process.returncode not in (0, 3):
        sys.exit(f"The conversion ended with code {process.returncode}.")
    return time.monotonic() - start, main_peak, worker_peak


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Time and memory over the number of studies."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    studies = [row["studies"] for row in rows]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    left.plot(studies, [row["seconds"] for row in rows], "o-", label="first run")
    left.plot(studies, [row["second_run_seconds"] for row in rows], "s--", label="again, nothing new")
    left.set(xlabel="studies", ylabel="seconds", title="Time", xlim=(0, None), ylim=(0, None))
    right.plot(studies, [row["main_peak_mib"] for row in rows], "o-", label="main process")
    right.plot(studies, [row["worker_peak_mib"] for row in rows], "s--", label="largest worker")
    right.set(xlabel="studies", ylabel="MiB resident", title="Memory", xlim=(0, None), ylim=(0, None))
    for axes in (left, right):
        axes.legend(frameon=False)
        axes.grid(visible=True, color="0.9")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _environment() -> dict[str, Any]:
    from benchmarks.step_cost import processor

    return {
        "python": platform.python_version(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1),
    }


def _page(result: dict[str, Any]) -> str:
    head = "| studies | files | seconds | files a second | again | main process MiB | largest worker MiB | volumes |"
    rows = "\n".join(
        f"| {row['studies']} | {row['files']} | {row['seconds']} | {row['files_a_second']} | "
        f"{row['second_run_seconds']} | {row['main_peak_mib']} | {row['worker_peak_mib']} | {row['converted']} |"
        for row in result["rows"]
    )
    full = result["full_size"]
    environment = ", ".join(f"{name} {value}" for name, value in result["environment"].items())
    return f"""\
# A hospital's export, growing

Written by `python -m benchmarks.conversion_scale --work WORK --out docs/results`: synthetic exports of studies of one
OCT volume (8 x 96 x 64), one photograph (96 x 104) and one visual field each, {result["workers"]} worker processes.
`again` is a second call, for which nothing is new. {environment}.

{head}
|---|---|---|---|---|---|---|---|
{rows}

{full["volumes"]} volumes of 256 slices of 992 x 512 (baseline JPEG) with a visual field each:
{full["seconds_1"]} s with one worker, {full["seconds_2"]} s with two, {full["ratio"]} times as fast; the largest
worker held {full["worker_peak_mib_2"]} MiB, the main process {full["main_peak_mib_2"]} MiB.

![Time and memory](conversion_scale.png)
"""


if __name__ == "__main__":
    main()
