import hashlib
import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medmd.utils import atomic_path, sha256_bytes, sha256_file, write_atomic


@pytest.mark.parametrize("content", ["µm\n", b"\x00\xff", ""])
def test_what_is_written_is_there_and_nothing_else(tmp_path, content):
    path = tmp_path / "new" / "file.txt"
    write_atomic(path, content)

    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert [file.name for file in path.parent.iterdir()] == ["file.txt"]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.nii.gz"
    path.write_text("old")

    def fail():
        with atomic_path(path) as temporary:
            assert temporary.name.endswith(".nii.gz")
            temporary.write_text("half")
            msg = "disk full"
            raise OSError(msg)

    with pytest.raises(OSError, match="disk full"):
        fail()

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_temporary_file_lies_beside_the_goal_and_is_moved(tmp_path):
    path = tmp_path / "a.json"
    with atomic_path(path) as temporary:
        assert temporary.parent == tmp_path
        temporary.write_text("x")
        assert not path.exists()

    assert path.read_text() == "x"
    assert not temporary.exists()


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_the_permissions_follow_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write_atomic(tmp_path / "a", "x")
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


@given(data=st.binary(max_size=200))
def test_digests_are_those_of_hashlib(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("d") / "f"
    path.write_bytes(data)

    assert sha256_file(path) == sha256_bytes(data) == hashlib.sha256(data).hexdigest()


def test_files_longer_than_a_piece_are_hashed_whole(tmp_path):
    data = bytes(range(256)) * 9000  # 2.3 MB, three pieces
    (tmp_path / "f").write_bytes(data)

    assert sha256_file(tmp_path / "f") == hashlib.sha256(data).hexdigest()
