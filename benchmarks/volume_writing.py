"""What writing an OCT volume costs: compressors beside each other, and a conversion with one and with two workers.

python benchmarks/volume_writing.py --output docs/results/volume_writing
python benchmarks/volume_writing.py --slices 16 --eyes 2 --rounds 1
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from medmd.utils import write_atomic, write_json

ROWS, COLUMNS = 992, 512
GZIP = 31
# Name -> module with zlib's interface, distribution, levels.
COMPRESSORS = {
    "zlib": ("zlib", None, (1, 4, 6)),
    "zlib-ng": ("zlib_ng.zlib_ng", "zlib-ng", (1, 2, 6)),
    "isal": ("isal.isal_zlib", "isal", (0, 1, 3)),
}
INTRODUCTION = """\
A synthetic volume of the size that STAGE2 has: layers, speckle and noise, each slice saved as a JPEG of quality 90 and
decoded again. Speckle hardly compresses, and how well differs from scanner to scanner. Seconds are the median of the
rounds, for a whole volume on one core, and processor time, which does not count what other programs take."""
CONVERSION = """\
`python -m data_prep.stage2` on eyes of that size without photographs, from reading the slices to the report, start of
the program included. The rounds alternate, so that whatever else the machine does meets both alike. `processors` says
how many were free for the conversion: processor time by time on the wall."""


# The kernel's own mark: `getrusage` would also count this process, of which the child is a copy at first.
_CHILD = """
import sys
from pathlib import Path
from data_prep.stage2.__main__ import main
main(sys.argv[1:])
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0], file=sys.stderr)
"""


def bscan(random: np.random.Generator, number: int) -> np.ndarray[Any, Any]:
    """A slice (rows, columns) of layers with speckle and noise, uint8."""
    depth = np.arange(ROWS)[:, None] - (330 + 30 * np.sin(np.arange(COLUMNS) / 120 + number / 40))
    layers = 20 + 90 * np.exp(-(((depth - 15) / 12) ** 2)) + 60 * ((depth > 30) & (depth < 150))
    layers = layers + 110 * np.exp(-(((depth - 170) / 10) ** 2)) + 50 * (depth > 180) * np.exp(-(depth - 180) / 120)
    speckle = gaussian_filter(random.gamma(3, 1 / 3, depth.shape), 0.8)
    return np.clip(layers * speckle + random.normal(0, 6, depth.shape), 0, 255).astype(np.uint8)


def as_jpeg(pixels: np.ndarray[Any, Any]) -> bytes:
    """The slice as a release stores it."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def decode(jpegs: Sequence[bytes]) -> list[np.ndarray[Any, Any]]:
    """The slices' pixels."""
    return [np.asarray(Image.open(io.BytesIO(jpeg))) for jpeg in jpegs]


def compressors() -> Iterator[tuple[str, str, Any, int]]:
    """Name, version, module and level of everything that is installed."""
    for name, (module, distribution, levels) in COMPRESSORS.items():
        try:
            found = importlib.import_module(module)
            number = zlib.ZLIB_RUNTIME_VERSION if distribution is None else version(distribution)
        except (ModuleNotFoundError, PackageNotFoundError):
            continue
        for level in levels:
            yield name, number, found, level


def compressed_size(module: Any, level: int, slices: Sequence[np.ndarray[Any, Any]]) -> int:
    """Bytes of all slices as one gzip stream."""
    compressor = module.compressobj(level, zlib.DEFLATED, GZIP)
    size = sum(len(compressor.compress(image.data)) for image in slices)
    return size + len(compressor.flush())


def measure_compressors(jpegs: Sequence[bytes], rounds: int) -> dict[str, Any]:
    """Seconds and sizes, each compressor once a round."""
    slices = decode(jpegs)
    raw = sum(image.nbytes for image in slices)
    seconds: dict[tuple[str, str, int], list[float]] = {}
    sizes: dict[tuple[str, str, int], int] = {}
    decoding = []
    for _ in range(rounds):
        decoding.append(_processor_time(lambda: decode(jpegs))[0])
        for name, number, module, level in compressors():
            key = (name, number, level)
            taken, size = _processor_time(partial(compressed_size, module, level, slices))
            seconds.setdefault(key, []).append(taken)
            sizes[key] = size
    return {
        "decode_seconds": statistics.median(decoding),
        "raw_mb": raw / 1e6,
        "jpeg_mb": sum(map(len, jpegs)) / 1e6,
        "compressors": [
            {"name": key[0], "version": key[1], "level": key[2], "seconds": statistics.median(seconds[key]),
             "share": sizes[key] / raw}
            for key in seconds
        ],
    }  # fmt: skip


def _processor_time(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def write_release(folder: Path, jpegs: Sequence[bytes], eyes: int) -> None:
    """A STAGE 2023 training part whose eyes hold the slices in different order."""
    for eye in range(1, eyes + 1):
        images = folder / "STAGE_training" / "training_images" / f"{eye:04d}"
        images.mkdir(parents=True)
        for number in range(len(jpegs)):
            (images / f"{number}_image.jpg").write_bytes(jpegs[(number + eye) % len(jpegs)])
    rows = "".join(f"{eye},{-eye}\n" for eye in range(1, eyes + 1))
    (folder / "STAGE_training" / "task1_GT_training.csv").write_text("ID,MD\n" + rows)


def convert_once(source: Path, out: Path, workers: int) -> dict[str, float]:
    """Run the program; its times on wall and processor, and its peak memory in MiB."""
    line = [sys.executable, "-c", _CHILD, str(source), str(out), "--unsplit", "--workers", str(workers)]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(line, check=True, capture_output=True, text=True)  # noqa: S603 - our own program
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": wall, "processor": processor, "peak_mib": int(done.stderr.split()[-1]) / 1024}


def measure_conversion(jpegs: Sequence[bytes], eyes: int, rounds: int) -> dict[str, Any]:
    """One and two workers in turn."""
    taken: dict[int, list[dict[str, float]]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_release(folder / "source", jpegs, eyes)
        for number in range(rounds):
            for workers, runs in taken.items():
                runs.append(convert_once(folder / "source", folder / f"out-{number}-{workers}", workers))
    ratios = [one["wall"] / two["wall"] for one, two in zip(taken[1], taken[2], strict=True)]
    return {
        "eyes": eyes,
        "workers": [
            {
                "workers": workers,
                "wall": statistics.median(run["wall"] for run in runs),
                "fastest_wall": min(run["wall"] for run in runs),
                "processors": statistics.median(run["processor"] / run["wall"] for run in runs),
                "peak_mib": max(run["peak_mib"] for run in runs),
            }
            for workers, runs in taken.items()
        ],
        "speed_up": {"rounds": ratios, "median": statistics.median(ratios)},
        "speed_up_of_fastest": min(run["wall"] for run in taken[1]) / min(run["wall"] for run in taken[2]),
    }


def as_markdown(found: dict[str, Any]) -> str:
    """The page."""
    writing, conversion = found["writing"], found["conversion"]
    lines = ["# Writing volumes", "", INTRODUCTION, ""]
    lines += [f"- {name}: {value}" for name, value in found["settings"].items()]
    lines += [
        f"- a volume: {writing['raw_mb']:.0f} MB, as JPEG {writing['jpeg_mb']:.0f} MB; decoding them takes "
        f"{writing['decode_seconds']:.2f} s",
        "",
        "| compressor | version | level | seconds | seconds by decoding | share of the plain size |",
        "|---|---|---|---|---|---|",
    ]
    for row in writing["compressors"]:
        lines.append(
            f"| {row['name']} | {row['version']} | {row['level']} | {row['seconds']:.2f} | "
            f"{row['seconds'] / writing['decode_seconds']:.1f} | {row['share']:.3f} |"
        )
    lines += ["", "The converters write with isal at level 1.", ""]
    return "\n".join([*lines, *(_conversion_lines(conversion) if conversion else ())])


def _conversion_lines(conversion: dict[str, Any]) -> list[str]:
    lines = ["## A conversion", "", CONVERSION, ""]
    lines += ["| workers | seconds | fastest | processors | peak memory, MiB |", "|---|---|---|---|---|"]
    for row in conversion["workers"]:
        lines.append(
            f"| {row['workers']} | {row['wall']:.1f} | {row['fastest_wall']:.1f} | {row['processors']:.2f} | "
            f"{row['peak_mib']:.0f} |"
        )
    ratio = conversion["speed_up"]
    return [
        *lines,
        "",
        f"Two workers are {ratio['median']:.2f} times as fast (median of {len(ratio['rounds'])} rounds; the fastest of "
        f"each: {conversion['speed_up_of_fastest']:.2f}), on {conversion['eyes']} eyes.",
        "",
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and write if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=256, help="of a volume (default: %(default)s)")
    parser.add_argument("--eyes", type=int, default=6, help="of the conversion, 0 for none (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of everything (default: %(default)s)")
    parser.add_argument("--output", metavar="STEM", help="write STEM.json and STEM.md")
    options = parser.parse_args(argv)
    random = np.random.default_rng(0)
    jpegs = [as_jpeg(bscan(random, number)) for number in range(options.slices)]
    found = {
        "settings": {
            "command": "python benchmarks/volume_writing.py " + " ".join(sys.argv[1:] if argv is None else argv),
            "slices": f"{options.slices} of {ROWS} x {COLUMNS}",
            "rounds": options.rounds,
            "processor": _processor(),
            "processors": os.cpu_count(),
            "load before": f"{os.getloadavg()[0]:.1f}",
            "python": platform.python_version(),
            "pillow": version("pillow"),
        },
        "writing": measure_compressors(jpegs, options.rounds),
        "conversion": measure_conversion(jpegs, options.eyes, options.rounds) if options.eyes else None,
    }
    page = as_markdown(found)
    print(page)
    if options.output:
        write_json(f"{options.output}.json", found)
        write_atomic(f"{options.output}.md", page)
    return 0


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )


if __name__ == "__main__":
    sys.exit(main())
