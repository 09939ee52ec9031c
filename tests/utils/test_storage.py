"""Real full, read-only and forbidden folders: one sentence, and what stood there before is intact."""

import errno
import os

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from medmd.utils import MedmdError, atomic_path, write_atomic, write_json
from medmd.utils._storage import WriteError, free_space, storage_fault, write_error

NOBODY = 65534


def _one_tensor(path):
    with path.open("wb") as file:
        torch.save({"a": torch.randn(100_000)}, file)


def _many_tensors(path):
    with path.open("wb") as file:
        torch.save({str(place): torch.randn(1_000) for place in range(100)}, file)


WRITERS = {
    "PyTorch, one tensor": _one_tensor,
    "PyTorch, many tensors": _many_tensors,
    "safetensors": lambda path: save_file({"a": torch.randn(100_000)}, str(path)),
    "pandas": lambda path: pd.DataFrame(np.random.rand(10_000, 2)).to_csv(path),
    "bytes": lambda path: path.write_bytes(bytes(400_000)),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_one_sentence_whatever_the_writer_makes_of_it(small_disk, name):
    folder = small_disk("128k")
    write_atomic(folder / "checkpoint.pt", "before")

    def write():
        with atomic_path(folder / "checkpoint.pt") as temporary:
            WRITERS[name](temporary)

    with pytest.raises(WriteError) as caught:
        write()

    text = str(caught.value)
    assert text.startswith("checkpoint.pt cannot be written: no space is left on its disk (")
    assert str(folder) not in text
    assert "\n" not in text
    assert [(path.name, path.read_text()) for path in folder.iterdir()] == [("checkpoint.pt", "before")]


def test_a_read_only_disk(small_disk):
    folder = small_disk("128k")
    write_atomic(folder / "a.json", "{}\n")
    small_disk.read_only(folder)

    with pytest.raises(WriteError, match=r"a\.json cannot be written: its folder is on a read-only file system"):
        write_json(folder / "a.json", [1])
    with pytest.raises(WriteError, match=r"b\.json cannot be written: its folder is on a read-only"):
        write_json(folder / "new" / "b.json", [1])
    assert (folder / "a.json").read_text() == "{}\n"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only the administrator can become nobody")
def test_a_folder_without_permission(tmp_path):
    # pytest's folders are closed to others as they are.
    os.seteuid(NOBODY)
    try:
        with pytest.raises(WriteError, match=r"x\.csv cannot be written: permission is denied"):
            write_atomic(tmp_path / "x.csv", "1")
    finally:
        os.seteuid(0)


def test_a_file_that_is_read_in_the_block_is_not_blamed_on_the_writing(tmp_path):
    elsewhere = tmp_path / "other" / "photo.png"

    def write():
        with atomic_path(tmp_path / "a" / "x.png"):
            raise PermissionError(errno.EACCES, "Permission denied", str(elsewhere))

    with pytest.raises(PermissionError) as caught:
        write()
    assert not isinstance(caught.value, WriteError)


def test_other_errors_of_the_block_are_handed_on(tmp_path):
    for error in (MedmdError("wrong"), KeyError("x"), OSError("no number"), FileNotFoundError(errno.ENOENT, "gone")):

        def write(error=error):
            with atomic_path(tmp_path / "x"):
                raise error

        with pytest.raises(type(error)) as caught:
            write()
        assert caught.value is error


def test_a_write_error_is_not_taken_for_a_fault_of_a_case():
    error = write_error("x.png", OSError(errno.ENOSPC, "full"))
    assert isinstance(error, OSError)
    assert not isinstance(error, MedmdError)


@pytest.mark.parametrize(
    ("code", "words"),
    [(errno.EDQUOT, "quota"), (errno.EIO, "disk reports an error"), (errno.ESTALE, "network share is gone")],
)
def test_reasons_by_number(code, words):
    assert words in storage_fault(OSError(code, os.strerror(code)))


def test_a_reason_is_found_beneath_and_beside():
    def fail(*, chained):
        try:
            raise OSError(errno.ENOSPC, "full")
        except OSError as error:
            msg = "writer failed"
            if chained is None:
                raise RuntimeError(msg) from None
            if chained:
                raise RuntimeError(msg) from error
            raise RuntimeError(msg)  # noqa: B904 - a context, as PyTorch's writer leaves it

    found = {}
    for chained in (True, False, None):
        with pytest.raises(RuntimeError) as caught:
            fail(chained=chained)
        found[chained] = storage_fault(caught.value)
    assert found == {True: "no space is left on its disk", False: "no space is left on its disk", None: None}
    assert storage_fault(None) is None
    assert storage_fault(ValueError("x")) is None


def test_free_space_in_a_unit_that_is_easily_read(tmp_path, monkeypatch):
    assert free_space(tmp_path / "not" / "yet")

    def usage(amount):
        monkeypatch.setattr("medmd.utils._storage.shutil.disk_usage", lambda _: type("U", (), {"free": amount}))
        return free_space(tmp_path)

    assert [usage(n) for n in (0, 999, 1000, 1_500_000, 2 * 10**9, 3 * 10**12, 4 * 10**15)] == [
        "0 B", "999 B", "1.0 kB", "1.5 MB", "2.0 GB", "3.0 TB", "4000.0 TB",
    ]  # fmt: skip

    def refuse(_):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr("medmd.utils._storage.shutil.disk_usage", refuse)
    assert free_space(tmp_path) is None
