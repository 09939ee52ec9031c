"""The benchmark of reading, small: it tells orders apart, says why a library cannot read, and checks our own pixels."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_small_run(tmp_path):
    stem = tmp_path / "conversion"
    line = [sys.executable, "-m", "benchmarks.conversion", "--slices", "4", "--rounds", "1", "--output", str(stem)]
    subprocess.run(line, check=True, cwd=ROOT, capture_output=True, timeout=120)
    found = json.loads(stem.with_suffix(".json").read_text())
    rows = {(row["name"], row["input"]): row for row in found["reading"]}

    assert rows["plain Pillow", "memory"]["ratio"] == 1
    assert rows["medmd", "DICOM"]["in_order"] is True
    assert rows["medmd", "folder"]["in_order"] is True
    assert rows["pydicom", "DICOM"]["in_order"] is False
    assert rows["eyepy", "DICOM"]["note"] == "has no reader of DICOM"
    assert all(row["note"] for row in found["reading"] if row["seconds"] is None)
    page = stem.with_suffix(".md").read_text()
    assert "| medmd | DICOM |" in page
    assert "1.25 times plain decoding" in page
