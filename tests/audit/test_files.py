"""What else lies in a bundle: pickles of every form, arrays, packed files, damaged files."""

import io
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch

from medmd.audit import audit_bundle
from medmd.utils import MedmdError

WEIGHTS = {"a": torch.ones(2, 3), "b": torch.nn.Parameter(torch.zeros(1)), "n": [1, "x", None, 2.5]}


class Bomb:
    def __reduce__(self):
        return (os.system, ("touch proof",))


def told(folder):
    return [(entry.verdict, entry.kind, entry.text) for entry in audit_bundle(folder).entries]


@pytest.mark.parametrize("name", ["model.pt", "model.ckpt", "weights.dat"])
def test_weights_of_torch_are_allowed(tmp_path, name):
    torch.save(WEIGHTS, tmp_path / name)
    assert told(tmp_path) == [("allowed", "pickle", "tensors, numbers and texts")]


def test_weights_in_the_old_format_are_allowed(tmp_path):
    torch.save(WEIGHTS, tmp_path / "model.pth", _use_new_zipfile_serialization=False)
    assert told(tmp_path) == [("allowed", "pickle", "tensors, numbers and texts")]


@pytest.mark.parametrize("name", ["model.pt", "image.png", "x"])
@pytest.mark.parametrize("new", [True, False])
def test_what_unpickling_would_call_is_found_whatever_the_name(tmp_path, monkeypatch, name, new):
    monkeypatch.chdir(tmp_path)
    torch.save({**WEIGHTS, "z": Bomb()}, tmp_path / name, _use_new_zipfile_serialization=new)
    found = audit_bundle(tmp_path).findings
    assert [entry.text for entry in found] in (["posix.system"], ["nt.system"])
    assert not (tmp_path / "proof").exists()


@pytest.mark.parametrize("protocol", range(6))
def test_bare_pickles_of_every_protocol(tmp_path, protocol):
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"a": Bomb(), "b": ["x"] * 3}, protocol=protocol))
    assert [entry.text for entry in audit_bundle(tmp_path).findings] in (["posix.system"], ["nt.system"])


def test_a_whole_module_is_found(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "model.pt")
    names = {entry.text for entry in audit_bundle(tmp_path).findings}
    assert "torch.nn.modules.linear.Linear" in names


@pytest.mark.parametrize(
    ("content", "name"),
    [
        # The name of the function comes out of the memory, is doubled, or is put together while it is loaded.
        (b"\x80\x04\x8c\x02os\x94\x8c\x06system\x9400h\x00h\x01\x93\x8c\x02ls\x85R.", "os.system"),
        (b"\x80\x04\x8c\x05timeit2\x93\x8c\x02ls\x85R.", None),
        (b"\x80\x04N\x8c\x06system\x93.", "?"),
        (b"\x80\x02\x82\x07.", "?"),
        (b"(S'ls'\nios\nsystem\n.", "os.system"),
        (b"cos\nsystem\n(S'ls'\ntR.", "os.system"),
        (b"\x80\x02Vos\nq\x00Vsystem\nq\x010h\x01h\x00\x93.", "system.os"),
    ],
)
def test_hidden_names(tmp_path, content, name):
    (tmp_path / "x.pkl").write_bytes(content)
    audit = audit_bundle(tmp_path)
    if name is None:
        assert audit.exit_code == 2
    else:
        assert [entry.text for entry in audit.findings] == [name]


def test_a_program_in_an_archive_of_torch_is_found(tmp_path):
    with zipfile.ZipFile(tmp_path / "model.ts", "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps([1], protocol=2))
        archive.writestr("model/code/__torch__.py", "x")
    told = {entry.kind: entry.verdict for entry in audit_bundle(tmp_path).entries}
    assert told == {"code": "finding", "pickle": "allowed"}


def test_arrays_of_objects_are_found_and_others_not(tmp_path):
    np.save(tmp_path / "good.npy", np.ones(3))
    np.savez(tmp_path / "good.npz", a=np.ones(3), b=np.array(["x"]))
    assert told(tmp_path) == []
    np.save(tmp_path / "bad.npy", np.array([{}, 1], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "bad.npz", a=np.ones(3), b=np.array([None]))
    with (tmp_path / "bad2.npy").open("wb") as file:
        np.lib.format.write_array(file, np.zeros(2, dtype=[("a", "O")]), version=(2, 0), allow_pickle=True)
    assert [entry.file for entry in audit_bundle(tmp_path).findings] == ["bad.npy", "bad.npz/b.npy", "bad2.npy"]


@pytest.mark.parametrize("content", [b"\x93NUMPY\x01\x00\xff\xff", b"\x93NUMPY\x02\x00\xff\xff\xff\x7f{", b"\x93NUMPY"])
def test_odd_headers_of_arrays_are_no_good(tmp_path, content):
    (tmp_path / "x.npy").write_bytes(content)
    assert audit_bundle(tmp_path).exit_code in (1, 2)


def test_packed_files_are_findings(tmp_path):
    (tmp_path / "x.tar").write_bytes(b"whatever")
    (tmp_path / "y.tar.gz").write_bytes(b"\x1f\x8b123")
    (tmp_path / "image.nii.gz").write_bytes(b"\x1f\x8b123")
    with zipfile.ZipFile(tmp_path / "z.docx", "w") as archive:
        archive.writestr("a.txt", "x")
    assert [entry.file for entry in audit_bundle(tmp_path).findings] == ["x.tar", "y.tar.gz", "z.docx"]


def test_inert_files_are_counted_and_not_told(tmp_path):
    (tmp_path / "README.md").write_text("$open(1)")
    (tmp_path / "LICENSE").write_bytes(b"")
    audit = audit_bundle(tmp_path)
    assert (audit.files, audit.entries, audit.exit_code) == (2, (), 0)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.pt", b"\x80\x02}q\x00X\xff"), ("x.pt", b"PK\x03\x04" + bytes(50)), ("x.pkl", b"\x80\x04s."),
        ("x.conf", b"\xff"), ("x.conf", b"no section"), ("x.ini", b"#" * ((1 << 20) + 1)),
        ("x.pkl", b"\x80\x02c\n"),
    ],
)  # fmt: skip
def test_damaged_files_make_the_audit_incomplete(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    audit = audit_bundle(tmp_path)
    assert [entry.file for entry in audit.unreadable] == [name]
    assert audit.exit_code == 2


def test_what_only_ends_like_a_pickle_is_noted(tmp_path):
    (tmp_path / "table.bin").write_bytes(b"\x00\x01\x02")
    assert [(e.verdict, e.kind) for e in audit_bundle(tmp_path).entries] == [("note", "file")]


def test_weights_inside_of_a_zip_are_looked_at_there(tmp_path):
    buffer = io.BytesIO()
    torch.save({"z": Bomb()}, buffer)
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(tmp_path / "b.zip", "w", compression) as archive:
            archive.writestr("b/models/model.pt", buffer.getvalue())
        assert [(e.file, e.text) for e in audit_bundle(tmp_path / "b.zip").findings] == [
            ("b/models/model.pt", "posix.system")
        ]


def test_a_pickle_that_is_too_large_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("medmd.audit._files._MOST_PICKLE", 10)
    torch.save(WEIGHTS, tmp_path / "model.pt")
    assert "larger than 10 bytes" in audit_bundle(tmp_path).unreadable[0].reason


def test_a_damaged_member_of_a_zip_is_told(tmp_path):
    path = tmp_path / "b.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("b/x.json", '{"a": 1, "b": "some text that is long enough to be packed"}')
        archive.writestr("b/secret.json", "{}")
    data = bytearray(path.read_bytes())
    data[45] ^= 0xFF
    place = data.rindex(b"b/secret.json") - 46
    data[place + 8] |= 1
    path.write_bytes(bytes(data))
    audit = audit_bundle(path)
    assert [entry.file for entry in audit.unreadable] == ["b/x.json"]
    assert [(entry.file, "encrypted" in entry.reason) for entry in audit.findings] == [("b/secret.json", True)]


def test_what_is_no_bundle_at_all(tmp_path, monkeypatch):
    with pytest.raises(MedmdError, match="expected a bundle"):
        audit_bundle(tmp_path / "absent")
    with pytest.raises(MedmdError, match="without files"):
        audit_bundle(tmp_path)
    (tmp_path / "x.zip").write_bytes(b"PK\x03\x04")
    with pytest.raises(MedmdError, match="expected a zip"):
        audit_bundle(tmp_path / "x.zip")
    monkeypatch.setattr("medmd.audit._source.MOST_FILES", 0)
    with pytest.raises(MedmdError, match="at most 0 files"):
        audit_bundle([tmp_path])
