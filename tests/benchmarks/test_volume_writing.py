import gzip
import json

import numpy as np
import pytest

from benchmarks import volume_writing


@pytest.fixture(scope="module")
def slices():
    random = np.random.default_rng(0)
    return volume_writing.decode([volume_writing.as_jpeg(volume_writing.bscan(random, n)) for n in range(2)])


def test_every_compressor_writes_what_gzip_reads(slices):
    names = set()
    for name, _, module, level in volume_writing.compressors():
        compressor = module.compressobj(level, 8, volume_writing.GZIP)
        data = b"".join(compressor.compress(image.data) for image in slices) + compressor.flush()
        assert gzip.decompress(data) == b"".join(image.tobytes() for image in slices)
        assert volume_writing.compressed_size(module, level, slices) == len(data)
        names.add(name)
    assert {"zlib", "isal"} <= names


def test_speckle_hardly_compresses_and_the_fast_one_loses_little(slices):
    shares = {
        (name, level): volume_writing.compressed_size(module, level, slices) / sum(image.nbytes for image in slices)
        for name, _, module, level in volume_writing.compressors()
    }
    assert shares["isal", 1] > 0.5
    assert shares["isal", 1] < 1.05 * shares["zlib", 6]


def test_a_small_run_writes_its_results(tmp_path, capsys):
    words = ["--slices", "3", "--eyes", "2", "--rounds", "1", "--output", str(tmp_path / "found")]
    assert volume_writing.main(words) == 0
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["conversion"]["eyes"] == 2
    assert [row["workers"] for row in found["conversion"]["workers"]] == [1, 2]
    assert found["conversion"]["speed_up"]["median"] > 0
    page = (tmp_path / "found.md").read_text()
    assert page in capsys.readouterr().out
    assert "| isal | " in page


def test_the_conversion_may_be_left_out(tmp_path, capsys):
    assert volume_writing.main(["--slices", "2", "--eyes", "0", "--rounds", "1"]) == 0
    assert "A conversion" not in capsys.readouterr().out
