import io
import os
import pickle
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from data_prep import _npz
from data_prep._npz import read_npz
from medmd.io import RefusedError


def npy(array, **options):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array), **options)
    return buffer.getvalue()


def header(shape, descr="|u1", extra=""):
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}{extra}}}".encode()
    text += b" " * (64 - (len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def archive(path, members, *, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def reason(path, wanted=("a",)):
    with pytest.raises(RefusedError) as caught:
        read_npz(path, wanted)
    assert caught.value.__cause__ is None
    assert path.name not in str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_writes_is_read(tmp_path, save):
    wanted = {
        "scalar": np.float32(-3.5), "text": np.array("Asian"), "map": np.random.RandomState(0).rand(5, 4),
        "columns": np.asfortranarray(np.arange(12).reshape(3, 4)), "big": np.arange(6, dtype=">i2"),
        "one": np.array([True]), "marital status": np.array(2),
    }  # fmt: skip
    save(tmp_path / "x.npz", other=np.zeros(3), **wanted)
    found, objects = read_npz(tmp_path / "x.npz", [*wanted, "absent"])
    assert set(found) == set(wanted)
    assert objects == []
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].shape == array.shape


def test_objects_are_named_and_never_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "run"),))

    np.savez(tmp_path / "x.npz", a=np.array([Bomb()], dtype=object), b=np.ones(2))
    found, objects = read_npz(tmp_path / "x.npz", ["a", "b"])
    assert (list(found), objects) == (["b"], ["a"])
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "data", [b"", b"PK", b"nothing of the kind" * 9, pickle.dumps({"a": 1}), b"PK\x05\x06" + b"\0" * 17]
)
def test_what_is_no_archive(tmp_path, data):
    (tmp_path / "x.npz").write_bytes(data)
    assert reason(tmp_path / "x.npz") == "npz-damaged"


def test_an_empty_archive_holds_nothing(tmp_path):
    assert read_npz(archive(tmp_path / "x.npz", {}), ["a"]) == ({}, [])


def test_every_cut_and_every_flipped_byte_is_refused_or_harmless(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, a=np.arange(40, dtype=np.uint8))
    whole = path.read_bytes()
    for end in range(0, len(whole), 7):
        path.write_bytes(whole[:end])
        reason(path)
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            found, _ = read_npz(path, ["a"])
        except RefusedError:
            continue
        # A byte of the archive's own bookkeeping may not matter; the numbers are the right ones or not there.
        assert not found or found["a"].tolist() == list(range(40)), place


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("(10000000000,)", "size-too-large"),
        ("(1000, 1000, 1000)", "size-too-large"),
        ("(0, 3)", "size-impossible"),
        ("(-1,)", "size-impossible"),
        ("(5,)", "truncated"),
        ("(3,)", "npz-foreign"),
        ("('a',)", "npz-damaged"),
        ("__import__('os').getcwd()", "npz-damaged"),
    ],
)
def test_declared_shapes_are_checked_before_memory_is_taken(tmp_path, shape, expected):
    path = archive(tmp_path / "x.npz", {"a.npy": header(shape) + b"1234"})
    tracemalloc.start()
    assert reason(path) == expected
    assert tracemalloc.get_traced_memory()[1] < 4e6
    tracemalloc.stop()


def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(_npz, "MOST_VALUES", 10**6)
    count = 20_000_000
    path = archive(tmp_path / "x.npz", {"a.npy": header(f"({count},)") + bytes(count), "b.npy": npy(1)})
    assert path.stat().st_size < 40_000
    tracemalloc.start()
    assert reason(path) == "size-too-large"
    # What is not asked for is not unpacked either.
    assert read_npz(path, ["b"])[0]["b"] == 1
    assert tracemalloc.get_traced_memory()[1] < 4e6
    tracemalloc.stop()


def test_a_wide_text_is_no_way_around_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(_npz, "MOST_FILE_BYTES", 10_000)
    path = archive(tmp_path / "x.npz", {"a.npy": header("(2,)", "<U5000") + bytes(40_000)})
    assert reason(path) == "npz-foreign"


@pytest.mark.parametrize(
    "members",
    [
        {"../a.npy": npy(1)},
        {"folder/a.npy": npy(1)},
        {"a.txt": b"x"},
        {"a.npy": header("(2,)", "<M8[s]") + bytes(16)},
        {"a.npy": b"\x93NUMPY\x09\x00" + npy(1)[8:]},
        {"a.npy": header("(2,)", "|V4") + bytes(8)},
    ],
)
def test_what_numpy_would_not_write_is_refused(tmp_path, members):
    assert reason(archive(tmp_path / "x.npz", members)) == "npz-foreign"


def test_other_compressions_and_repeated_names_are_refused(tmp_path):
    assert reason(archive(tmp_path / "x.npz", {"a.npy": npy(1)}, method=zipfile.ZIP_LZMA)) == "npz-foreign"
    with zipfile.ZipFile(tmp_path / "y.npz", "w") as file:
        file.writestr("a.npy", npy(1))
        with pytest.warns(UserWarning, match="Duplicate name"):
            file.writestr("a.npy", npy(2))
    assert reason(tmp_path / "y.npz") == "npz-foreign"


def test_a_directory_of_any_length_is_not_read(tmp_path):
    many = archive(tmp_path / "x.npz", {f"a{index}.npy": b"" for index in range(100)})
    assert reason(many) == "npz-too-many"
    more = archive(tmp_path / "y.npz", {f"a{index:05d}.npy": b"" for index in range(2_000)})
    assert reason(more) == "npz-too-many"


def test_only_ordinary_files_of_a_fitting_size(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.npz")
    (tmp_path / "folder.npz").mkdir()
    np.savez(tmp_path / "real.npz", a=1)
    (tmp_path / "link.npz").symlink_to("real.npz")
    for name in ("pipe.npz", "folder.npz", "absent.npz"):
        assert reason(tmp_path / name) == "npz-no-file"
    assert read_npz(tmp_path / "link.npz", ["a"])[0]["a"] == 1
    monkeypatch.setattr(_npz, "MOST_FILE_BYTES", 100)
    assert reason(tmp_path / "real.npz") == "npz-no-file"
