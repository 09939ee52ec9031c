"""Finding files: all of them, in order, and none outside."""

import os

import pytest

from data_prep.hospital._walk import walk


@pytest.fixture
def export(tmp_path):
    root = tmp_path / "export"
    for place in ("b/2", "b/10", "a/x/deep/er/file", "c", ".hidden"):
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(place.encode())
    return root


def found(root):
    return {each.place: each.reason for each in walk(root)}


def test_every_file_is_found_whatever_its_depth_and_name(export):
    assert found(export) == dict.fromkeys((".hidden", "a/x/deep/er/file", "b/10", "b/2", "c"))


def test_the_order_does_not_depend_on_the_file_system(export):
    first = [each.place for each in walk(export)]
    for place in ("c", "b/2"):
        (export / place).rename(export / "moved")
        (export / "moved").rename(export / place)

    assert [each.place for each in walk(export)] == first


def test_size_and_time_are_told(export):
    os.utime(export / "c", ns=(5, 7))

    each = next(each for each in walk(export) if each.place == "c")

    assert (each.size, each.changed) == (1, 7)
    assert "c" not in repr(each).replace("Found", "").replace("reason", "")


@pytest.mark.parametrize(
    "place",
    [".DS_Store", "x/Thumbs.db", "x/._scan", "__MACOSX/x/scan", "desktop.ini", "$RECYCLE.BIN/1"],
)
def test_litter_is_told(export, place):
    path = export / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")

    assert found(export)[place] == "litter"


def test_links_are_told_and_not_followed(export, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"x")
    links = {
        "in": export / "a",
        "in_file": export / "c",
        "out": outside,
        "out_file": outside / "secret",
        "nowhere": export / "absent",
        "circle": export / "circle",
        "up": export / "..",
    }
    for name, target in links.items():
        (export / name).symlink_to(target)

    reasons = found(export)

    assert {name for name in links if reasons[name] == "link-inside"} == {"in", "in_file"}
    assert {name for name in links if reasons[name] == "link-outside"} == {"out", "out_file", "nowhere", "circle", "up"}
    assert not any("secret" in place for place in reasons)
    assert sum(reason is None for reason in reasons.values()) == 5


def test_a_link_to_a_neighbour_with_the_same_beginning_leads_outside(export, tmp_path):
    neighbour = tmp_path / "export-of-others"
    neighbour.mkdir()
    (export / "near").symlink_to(neighbour)

    assert found(export)["near"] == "link-outside"


def test_what_is_no_file_is_told(export):
    os.mkfifo(export / "pipe")

    assert found(export)["pipe"] == "not-a-file"


def test_names_that_are_no_text_are_found(export):
    (export / os.fsdecode(b"\xff\xfe")).write_bytes(b"x")

    assert len(found(export)) == 6


def test_a_folder_that_vanishes_or_is_closed_is_told(export, monkeypatch):
    real = os.scandir

    def scandir(folder):
        if str(folder).endswith("deep"):
            raise PermissionError(13, "denied", str(folder))
        return real(folder)

    monkeypatch.setattr(os, "scandir", scandir)

    assert found(export)["a/x/deep"] == "folder-unreadable"


def test_a_deep_tree_is_no_recursion(tmp_path):
    folder = tmp_path / "root"
    current = folder
    for _ in range(400):
        current = current / "d"
    current.mkdir(parents=True)
    (current / "f").write_bytes(b"x")

    assert len(found(folder)) == 1
