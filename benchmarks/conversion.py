"""What reading an OCT volume costs beside plain decoding: our readers, pydicom, eyepy and oct-converter in one run.

python -m benchmarks.conversion --output docs/results/conversion
python -m benchmarks.conversion --slices 8 --rounds 1
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks._conversion_object import write_object
from benchmarks.volume_writing import COLUMNS, ROWS, as_jpeg, bscan
from medmd.utils import write_atomic, write_json

# Reading and ordering may take this share of plain decoding.
BOUND = 1.25
FLOOR = "plain Pillow"
INTRODUCTION = """\
One synthetic volume of layers and speckle, each slice a JPEG of quality 90: once as a DICOM Ophthalmic Tomography
object that stores every other frame first, once as a folder of files as the STAGE2 release has it. Every row
reads the same slices; plain Pillow decodes them in memory one after the other and is the floor. Seconds are processor
time on one core, the median of the rounds; the rounds alternate, so that whatever else the machine does meets all rows
alike. The ratio is the median of each round's own. `in order` says whether the slices came as they were scanned."""

Pixels = npt.NDArray[Any]


class Way(NamedTuple):
    """One way to read: name, input, and what reads it or why nothing does."""

    name: str
    source: str
    read: Callable[[], Pixels] | None
    reason: str = ""


def plain(jpegs: Sequence[bytes]) -> Pixels:
    """The floor: decode, and put the slices into one array."""
    volume = np.empty((len(jpegs), ROWS, COLUMNS), np.uint8)
    for number, jpeg in enumerate(jpegs):
        volume[number] = np.asarray(Image.open(io.BytesIO(jpeg)))
    return volume


def ours(path: Path) -> Pixels:
    """By the library's reader: recognised, ordered, geometry and laterality checked."""
    from medmd.io import OctVolume, read

    record = read(path)
    if not isinstance(record, OctVolume):
        msg = f"expected an OctVolume, got {type(record).__name__}"
        raise TypeError(msg)
    return record.pixels


def ours_folder(folder: Path) -> Pixels:
    """By the converter of the STAGE2 release: files ordered by number, decoded and checked."""
    from data_prep.stage2._slices import decode_slices, in_order
    from data_prep.stage2._tree import File

    files = [(int(path.name.split("_")[0]), File(path, path.name)) for path in folder.iterdir()]
    contents = [file.path.read_bytes() for file in in_order(files)]
    volume = np.empty((len(contents), ROWS, COLUMNS), np.uint8)
    for number, pixels in enumerate(decode_slices(contents)):
        volume[number] = pixels
    return volume


def by_pydicom(path: Path) -> Pixels:
    """`pixel_array`: the stored order."""
    import pydicom

    return pydicom.dcmread(path).pixel_array


def by_oct_converter(path: Path) -> Pixels:
    """Its DICOM reader: the stored order."""
    reader = importlib.import_module("oct_converter.readers").Dicom(str(path))
    return np.stack(reader.read_oct_volume().volume)


def by_eyepy(folder: Path) -> Pixels:
    """Its reader of a folder of B-scans: the order of the file system."""
    return np.asarray(importlib.import_module("eyepy").import_bscan_folder(folder).data)


def guarded(name: str, source: str, module: str, read: Callable[[], Pixels]) -> Way:
    """A row that says why when the library is not there or does not read the input."""
    try:
        importlib.import_module(module)
    except ImportError:
        return Way(name, source, None, "not installed")
    try:
        read()
    except Exception as error:  # noqa: BLE001 - whatever another library raises is the answer
        return Way(name, source, None, f"cannot read it: {type(error).__name__}")
    return Way(name, source, read)


def ways(folder: Path, jpegs: Sequence[bytes]) -> list[Way]:
    """Every row."""
    volume, slices = folder / "volume", folder / "slices"
    return [
        Way(FLOOR, "memory", lambda: plain(jpegs)),
        Way("medmd", "DICOM", lambda: ours(volume)),
        guarded("pydicom", "DICOM", "pydicom", lambda: by_pydicom(volume)),
        guarded("oct-converter", "DICOM", "oct_converter", lambda: by_oct_converter(volume)),
        Way("eyepy", "DICOM", None, "has no reader of DICOM"),
        Way("medmd", "folder", lambda: ours_folder(slices)),
        guarded("eyepy", "folder", "eyepy", lambda: by_eyepy(slices)),
        Way("oct-converter", "folder", None, "has no reader of image folders"),
    ]


def write_inputs(folder: Path, jpegs: Sequence[bytes]) -> None:
    """The DICOM object and the folder of slices."""
    order = [*range(1, len(jpegs), 2), *range(0, len(jpegs), 2)]
    write_object(folder / "volume", jpegs, order, (ROWS, COLUMNS))
    slices = folder / "slices"
    slices.mkdir()
    for number, jpeg in enumerate(jpegs):
        (slices / f"{number}_image.jpg").write_bytes(jpeg)


def measure(folder: Path, jpegs: Sequence[bytes], rounds: int) -> list[dict[str, Any]]:
    """All rows, each once a round, after one that warms up."""
    rows = ways(folder, jpegs)
    expected = plain(jpegs)
    taken: dict[int, list[float]] = {number: [] for number, way in enumerate(rows) if way.read}
    in_order = {number: _same(rows[number].read, expected) for number in taken}
    for _ in range(rounds):
        for number, times in taken.items():
            read = rows[number].read
            start = time.process_time()
            if read is not None:
                read()
            times.append(time.process_time() - start)
    return [
        {
            "name": way.name,
            "input": way.source,
            "seconds": statistics.median(taken[number]) if number in taken else None,
            "ratio": statistics.median(np.array(taken[number]) / taken[0]) if number in taken else None,
            "in_order": in_order.get(number),
            "note": way.reason,
        }
        for number, way in enumerate(rows)
    ]


def _same(read: Callable[[], Pixels] | None, expected: Pixels) -> bool:
    return read is not None and np.array_equal(read(), expected)


def measure_writing(folder: Path, volume: Pixels, rounds: int) -> dict[str, float]:
    """Our writer of volumes, to the disk."""
    from data_prep._volumes import write_volume

    times = []
    for _ in range(rounds):
        start = time.process_time()
        write_volume(folder / "volume.nii.gz", iter(volume), count=len(volume), spacing_mm=(0.012, 0.004, 0.1))
        times.append(time.process_time() - start)
    return {"seconds": statistics.median(times), "mb": (folder / "volume.nii.gz").stat().st_size / 1e6}


def as_markdown(found: dict[str, Any]) -> str:
    """The page."""
    lines = ["# Reading volumes", "", INTRODUCTION, ""]
    lines += [f"- {name}: {value}" for name, value in found["settings"].items()]
    lines += ["", "| reader | input | seconds | by plain Pillow | in order | |", "|---|---|---|---|---|---|"]
    for row in found["reading"]:
        numbers = "- | -" if row["seconds"] is None else f"{row['seconds']:.3f} | {row['ratio']:.2f}"
        order = {True: "yes", False: "no", None: "-"}[row["in_order"]]
        lines.append(f"| {row['name']} | {row['input']} | {numbers} | {order} | {row['note']} |")
    verdict = "within" if found["within_bound"] else "above"
    writing = found["writing"]
    lines += [
        "",
        f"medmd is {verdict} {BOUND} times plain decoding on both inputs.",
        "",
        f"Writing the volume as `.nii.gz` takes {writing['seconds']:.3f} s of processor time ({writing['mb']:.0f} MB); "
        "[Writing volumes](volume_writing.md) compares compressors.",
        "",
    ]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and write if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=256, help="of the volume (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="of everything (default: %(default)s)")
    parser.add_argument("--output", metavar="STEM", help="write STEM.json and STEM.md")
    options = parser.parse_args(argv)
    random = np.random.default_rng(0)
    jpegs = [as_jpeg(bscan(random, number)) for number in range(options.slices)]
    with tempfile.TemporaryDirectory() as name:
        write_inputs(Path(name), jpegs)
        reading = measure(Path(name), jpegs, options.rounds)
        writing = measure_writing(Path(name), plain(jpegs), options.rounds)
    found = {
        "settings": _settings(options),
        "reading": reading,
        "within_bound": all(row["ratio"] <= BOUND for row in reading if row["name"] == "medmd"),
        "writing": writing,
    }
    page = as_markdown(found)
    print(page)
    if options.output:
        write_json(f"{options.output}.json", found)
        write_atomic(f"{options.output}.md", page)
    return 0


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    def number(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "-"

    return {
        "command": f"python -m benchmarks.conversion --slices {options.slices} --rounds {options.rounds}",
        "slices": f"{options.slices} of {ROWS} x {COLUMNS}",
        "rounds": options.rounds,
        "processors": os.cpu_count(),
        "load before": f"{os.getloadavg()[0]:.1f}",
        "python": platform.python_version(),
        **{name: number(name) for name in ("pillow", "pydicom", "eyepy", "oct-converter")},
    }


if __name__ == "__main__":
    sys.exit(main())
