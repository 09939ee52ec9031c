"""MultiMNIST from idx files that the tests write, and from the real ones where they are at hand."""

import gzip
import json

import numpy as np
import pytest
from PIL import Image

from data_prep.multi_mnist import Options, convert
from data_prep.multi_mnist.__main__ import main
from data_prep.multi_mnist._compose import Pair, compose, draw_pairs
from data_prep.multi_mnist._idx import read_half, read_idx
from medmd.data import check_datalist, load_datalist
from medmd.utils import MedmdError

FEW = Options(training=20, validation=8, testing=10)


def idx(array, code=None):
    header = bytes([0, 0, 8, array.ndim if code is None else code])
    return header + b"".join(size.to_bytes(4, "big") for size in array.shape) + array.tobytes()


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "mnist"
    folder.mkdir()
    random = np.random.default_rng(0)
    for stem, count, pack in (("train", 50, True), ("t10k", 20, False)):
        images = random.integers(0, 256, (count, 28, 28)).astype(np.uint8)
        labels = (np.arange(count) % 10).astype(np.uint8)
        for name, array in (("images-idx3-ubyte", images), ("labels-idx1-ubyte", labels)):
            path = folder / f"{stem}-{name}{'.gz' if pack else ''}"
            path.write_bytes(gzip.compress(idx(array)) if pack else idx(array))
    return folder


def test_a_composed_cohort_is_sound(source, tmp_path):
    report = convert(source, tmp_path / "out", options=FEW, workers=2)
    assert report.usable == 38
    path = tmp_path / "out" / "datalist.json"
    assert check_datalist(path).ok
    datalist = load_datalist(path)
    assert {name: len(cases) for name, cases in datalist.splits.items()} == {
        "training": 20,
        "validation": 8,
        "testing": 10,
    }
    target = datalist.header.target
    assert [task.name for task in target.tasks] == ["left", "right"]
    assert all(task.classes == tuple("0123456789") for task in target.tasks)


def test_pictures_and_targets_are_those_of_the_digits_they_name(source, tmp_path):
    convert(source, tmp_path / "out", options=Options(training=20, validation=8, testing=10, shift=0))
    halves = {part: read_half(source, part) for part in ("training", "testing")}
    for split, case in load_datalist(tmp_path / "out" / "datalist.json").cases():
        half = halves["testing" if split == "testing" else "training"]
        left, right = case.details["mnist"]
        assert list(case.target) == [half.labels[left], half.labels[right]]
        with Image.open(tmp_path / "out" / case.inputs["digits"]) as picture:
            pixels = np.asarray(picture)
        assert pixels.shape == (36, 36)
        np.testing.assert_array_equal(pixels[:8], np.pad(half.images[left][:8], ((0, 0), (0, 8))))
        np.testing.assert_array_equal(pixels[28:], np.pad(half.images[right][20:], ((0, 0), (8, 0))))
        both = np.maximum(half.images[left][8:, 8:], half.images[right][:20, :20])
        np.testing.assert_array_equal(pixels[8:28, 8:28], both)


def test_no_digit_is_in_training_and_validation(source, tmp_path):
    convert(source, tmp_path / "out", options=FEW)
    drawn = {"training": set(), "validation": set()}
    for split, case in load_datalist(tmp_path / "out" / "datalist.json").cases():
        if split in drawn:
            drawn[split] |= set(case.details["mnist"])
    assert drawn["training"]
    assert not drawn["training"] & drawn["validation"]


def test_pairs_are_seeded_and_use_every_digit_alike():
    pool = list(range(30, 50))
    pairs = draw_pairs(pool, 60, shift=3, seed=1)
    assert pairs == draw_pairs(pool, 60, shift=3, seed=1)
    assert pairs != draw_pairs(pool, 60, shift=3, seed=2)
    assert all(pair.left != pair.right for pair in pairs)
    assert np.bincount([pair.left for pair in pairs], minlength=50)[30:].tolist() == [3] * 20
    shifts = np.array([pair.shifts for pair in pairs])
    assert shifts.min() == 0
    assert shifts.max() == 3


def test_a_smaller_picture_is_the_canvas_made_smaller():
    images = np.full((2, 28, 28), 200, dtype=np.uint8)
    small = compose(images, Pair(0, 1, (0, 0, 0, 0)), size=28)
    assert small.shape == (28, 28)
    assert small[14, 14] == 200


def test_another_run_gives_the_same_bytes(source, tmp_path):
    for name, workers in (("a", 1), ("b", 2)):
        convert(source, tmp_path / name, options=FEW, workers=workers)
    convert(source, tmp_path / "a", options=FEW)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    for file in files:
        if not file.name.startswith("."):
            assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda folder: (folder / "t10k-labels-idx1-ubyte").unlink(), "expected MNIST's file t10k-labels"),
        (lambda folder: (folder / "t10k-labels-idx1-ubyte").write_bytes(b"no"), "idx file of unsigned bytes"),
        (lambda folder: (folder / "train-labels-idx1-ubyte.gz").write_bytes(b"\x1f\x8bno"), "cannot be unpacked"),
        (
            lambda folder: (folder / "t10k-labels-idx1-ubyte").write_bytes(idx(np.zeros(20, np.uint8))[:-1]),
            "19 values, expected 20",
        ),
        (
            lambda folder: (folder / "t10k-labels-idx1-ubyte").write_bytes(idx(np.full(20, 11, np.uint8))),
            "N digits",
        ),
        (
            lambda folder: (folder / "t10k-images-idx3-ubyte").write_bytes(idx(np.zeros((20, 40, 40), np.uint8))),
            r"expected images \(N, 28, 28\) .* got \(20, 40, 40\)",
        ),
        (
            lambda folder: (folder / "t10k-labels-idx1-ubyte").write_bytes(idx(np.zeros(19, np.uint8))),
            r"got \(20, 28, 28\) and \(19,\)",
        ),
    ],
)
def test_damaged_files_are_refused(source, tmp_path, change, text):
    change(source)
    with pytest.raises(MedmdError, match=text):
        convert(source, tmp_path / "out", options=FEW)


@pytest.mark.parametrize("wrong", [{"training": 0}, {"shift": 4}, {"size": 32}])
def test_wrong_options_are_refused(source, tmp_path, wrong):
    with pytest.raises(MedmdError, match="expected"):
        convert(source, tmp_path / "out", options=Options(**wrong))


def test_the_command_converts(source, tmp_path, capsys):
    words = [str(source), str(tmp_path / "out"), "--training", "6", "--validation", "3", "--testing", "3"]
    assert main([*words, "--size", "28"]) == 0
    assert "12 converted" in capsys.readouterr().out
    arguments = json.loads((tmp_path / "out" / "report.json").read_text())["arguments"]
    assert (arguments["training"], arguments["size"]) == (6, 28)
    assert main([str(tmp_path / "none"), str(tmp_path / "other")]) == 2


@pytest.mark.real_data
def test_the_real_files_are_read_whole(real_data, tmp_path):
    if not (real_data / "mnist").is_dir():
        pytest.skip("MEDMD_REAL_DATA holds no folder mnist")
    for part, count in (("training", 60_000), ("testing", 10_000)):
        half = read_half(real_data / "mnist", part)
        assert half.images.shape == (count, 28, 28)
        assert np.bincount(half.labels, minlength=10).min() > count / 12
    assert read_idx(real_data / "mnist" / "t10k-labels-idx1-ubyte.gz")[:4].tolist() == [7, 2, 1, 0]
    report = convert(real_data / "mnist", tmp_path / "out", options=FEW)
    assert report.usable == 38
    assert check_datalist(tmp_path / "out" / "datalist.json").ok
