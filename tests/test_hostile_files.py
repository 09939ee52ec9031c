"""Files that want to run code, to fill the memory or to lead astray, through every place that loads."""

import io
import os
import pickle
import struct
import subprocess
import sys
import zipfile

import pytest
import torch

from medmd.utils import MedmdError, archive_is_whole, load_tensors, read_pickle

PROOF = "proof-that-code-ran"
GOOD = {"fingerprint": "abc", "iteration": 3, "weights": {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(1)}}


class Bomb:
    def __reduce__(self):
        return (os.system, (f"touch {PROOF}",))


class Evaluated:
    def __reduce__(self):
        return (eval, (f"open('{PROOF}', 'w')",))


def good_archive():
    buffer = io.BytesIO()
    torch.save(GOOD, buffer)
    return zipfile.ZipFile(buffer)


def rebuilt(path, *, structure=None, replace=None, add=None, compression=zipfile.ZIP_STORED, prefix=None):
    """The good archive written again by zipfile, with changes."""
    source = good_archive()
    with zipfile.ZipFile(path, "w", compression) as target:
        for name in source.namelist():
            content = source.read(name)
            if structure is not None and name.endswith("data.pkl"):
                content = structure
            content = (replace or {}).get(name.split("/", 1)[1], content)
            target.writestr(name if prefix is None else prefix + name.split("/", 1)[1], content)
        for name, content in (add or {}).items():
            target.writestr(name, content)


def structure():
    source = good_archive()
    return source.read(next(name for name in source.namelist() if name.endswith("data.pkl")))


def save_bomb(path):
    torch.save({"fingerprint": "abc", "objects": Bomb()}, path)


def save_eval(path):
    torch.save({"weights": {"a": Evaluated()}}, path)


def old_format_bomb(path):
    torch.save({"a": Bomb()}, path, _use_new_zipfile_serialization=False)


def bare_pickle(path):
    path.write_bytes(pickle.dumps(Bomb()))


def protocol_four(path):
    rebuilt(path, structure=pickle.dumps({"a": Bomb()}, protocol=4))


def hidden_name(path):
    # The name of the function lies in the memory, away from the instruction that uses it.
    rebuilt(path, structure=b"\x80\x02\x8c\x02os\x94\x8c\x06system\x9400h\x00h\x01\x93\x8c\x04true\x85R.")


def made_name(path):
    rebuilt(path, structure=b"\x80\x02)}\x93.")


def registry_number(path):
    rebuilt(path, structure=b"\x80\x02\x82\x01.")


def many_bytes(path):
    rebuilt(path, structure=b"\x80\x02c__builtin__\nbytearray\n\x8a\x06\x00\x00\x00\x00\x00\x01\x85R.")


def tensor_of_nothing(path):
    name = b"torch._utils\n_rebuild_meta_tensor_no_storage\n"
    rebuilt(path, structure=b"\x80\x02c" + name + b"(ctorch\nfloat32\nJ\xff\xff\xff\x7f\x85)\x89tR.")


def huge_storage(path):
    old = structure()
    place = old.index(b"cpu")
    count = old.index(b"K\x06t", place)
    rebuilt(path, structure=old[:count] + b"\x8a\x06\x00\x00\x00\x00\x00\x01t" + old[count + 3 :])


def huge_shape(path):
    tensor = torch.zeros(1).expand(1 << 40)
    torch.save({"a": tensor}, path)


def huge_member(path):
    rebuilt(path)
    data = bytearray(path.read_bytes())
    name = b"archive/data/0"
    place = data.rindex(name) - 46
    assert data[place : place + 4] == b"PK\x01\x02"
    data[place + 20 : place + 28] = struct.pack("<2L", 0xFFFFFFF0, 0xFFFFFFF0)
    path.write_bytes(bytes(data))


def terabytes(path):
    rebuilt(path, add={"archive/data/7": b""})
    data = bytearray(path.read_bytes())
    place = data.rindex(b"archive/data/7") - 46
    data[place + 24 : place + 28] = b"\xfe\xff\xff\xff"
    path.write_bytes(bytes(data))


def zip_bomb(path):
    rebuilt(path, add={"archive/data/7": bytes(50_000_000)}, compression=zipfile.ZIP_DEFLATED)


def slip(path):
    rebuilt(path, add={"../../evil.py": b"x"})


def slip_prefix(path):
    rebuilt(path, prefix="../")


def absolute(path):
    rebuilt(path, add={"/etc/evil": b"x"})


def script(path):
    rebuilt(path, add={"archive/code/evil.py": b"x"})


def two_folders(path):
    rebuilt(path, add={"other/data/9": b"x"})


def twice(path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        rebuilt(path, add={"archive/data.pkl": structure()})


def long_structure(path):
    rebuilt(path, structure=b"\x80\x02" + b"N0" * (3 << 20) + b"N.")


def broken_structure(path):
    rebuilt(path, structure=b"\x80\x02}q\x00X\x05")


def empty_stack(path):
    rebuilt(path, structure=b"\x80\x02s.")


def odd_identity(path):
    rebuilt(path, structure=b"\x80\x02K\x01Q.")


def truncated(path):
    torch.save(GOOD, path)
    path.write_bytes(path.read_bytes()[:-60])


def garbage(path):
    path.write_bytes(b"PK\x03\x04" + os.urandom(3000))


def empty(path):
    path.write_bytes(b"")


def with_comment(path):
    torch.save(GOOD, path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"PK\x05\x06" + bytes(18)


def link(path):
    torch.save(GOOD, path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def pipe(path):
    os.mkfifo(path)


def folder(path):
    path.mkdir()


def no_dictionary(path):
    torch.save([torch.ones(1)], path)


def bad_arguments(path):
    rebuilt(path, structure=b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(K\x01tR.")


def unknown_instruction(path):
    # FROZENSET is an instruction that torch's reader does not know.
    rebuilt(path, structure=b"\x80\x02(\x91.")


def long_directory(path):
    torch.save(GOOD, path)
    data = bytearray(path.read_bytes())
    data[-10:-6] = struct.pack("<L", 1 << 30)
    path.write_bytes(bytes(data))


HOSTILE = {
    make.__name__: make
    for make in (
        save_bomb, save_eval, old_format_bomb, bare_pickle, protocol_four, hidden_name, made_name, registry_number,
        many_bytes, tensor_of_nothing, huge_storage, huge_shape, huge_member, terabytes, zip_bomb, slip, slip_prefix,
        absolute, script, two_folders, twice, long_structure, broken_structure, empty_stack, odd_identity, truncated,
        garbage, empty, with_comment, link, pipe, folder, no_dictionary, bad_arguments, unknown_instruction,
        long_directory,
    )
}  # fmt: skip


@pytest.fixture(params=sorted(HOSTILE))
def hostile(request, tmp_path, monkeypatch):
    """A hostile file; at the end it must not have run anything."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "checkpoint-00000009.pt"
    HOSTILE[request.param](path)
    yield path
    assert not (tmp_path / PROOF).exists()


def test_the_samples_are_live(tmp_path, monkeypatch):
    """What is refused below would run where it is believed."""
    monkeypatch.chdir(tmp_path)
    save_bomb(tmp_path / "x.pt")
    torch.load(tmp_path / "x.pt", weights_only=False)
    assert (tmp_path / PROOF).exists()
    hidden_name(tmp_path / "y.pt")
    (tmp_path / PROOF).unlink()
    with zipfile.ZipFile(tmp_path / "y.pt") as archive:
        assert read_pickle(archive.read("archive/data.pkl")).names == ["os.system"]


def test_what_we_write_is_loaded(tmp_path):
    # Given a path, torch writes its name into the archive.
    torch.save(GOOD, tmp_path / ".tmp-a1 b2.c3.pt")
    assert load_tensors(tmp_path / ".tmp-a1 b2.c3.pt", role="checkpoint")["iteration"] == 3
    with (tmp_path / "x.pt").open("wb") as file:
        torch.save(GOOD, file)
    for mmap in (False, True):
        found = load_tensors(tmp_path / "x.pt", role="checkpoint", mmap=mmap)
        assert found["iteration"] == 3
        assert torch.equal(found["weights"]["a"], GOOD["weights"]["a"])
    assert archive_is_whole(tmp_path / "x.pt", role="checkpoint")


def test_every_kind_of_state_is_loaded(tmp_path):
    """Optimizers, schedules, parameters, views, shared and empty tensors, every precision."""
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4)).to(torch.float64)
    optimizer = torch.optim.AdamW(module.parameters())
    module(torch.randn(5, 3, dtype=torch.float64)).sum().backward()
    optimizer.step()
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 4])
    base = torch.arange(12.0)
    state = {
        "module": module.state_dict(),
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "views": [base[3:], base.reshape(3, 4).t(), torch.zeros(0)],
        "kinds": {
            str(k): torch.ones(2, dtype=k)
            for k in (torch.float16, torch.bfloat16, torch.int8, torch.uint8, torch.int16, torch.int32, torch.bool)
        },
        "size": torch.Size([1, 2]),
    }
    torch.save(state, tmp_path / "x.pt")
    found = load_tensors(tmp_path / "x.pt", role="checkpoint")
    torch.testing.assert_close(found["optimizer"], state["optimizer"], rtol=0, atol=0)
    torch.testing.assert_close(dict(found["module"]), dict(state["module"]), rtol=0, atol=0)
    torch.testing.assert_close(found["views"], state["views"], rtol=0, atol=0)
    assert found["schedule"] == state["schedule"]
    assert {k: v.dtype for k, v in found["kinds"].items()} == {k: v.dtype for k, v in state["kinds"].items()}


def test_hostile_files_are_refused(hostile):
    with pytest.raises(
        MedmdError, match=r"checkpoint-00000009\.pt \(checkpoint\) is refused: expected .*, got "
    ) as caught:
        load_tensors(hostile, role="checkpoint")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_an_absent_file_is_told(tmp_path):
    with pytest.raises(MedmdError, match=r"x\.pt \(checkpoint\): no such file"):
        load_tensors(tmp_path / "x.pt", role="checkpoint")


LIMITED = """
import resource, sys
from pathlib import Path
import torch
from medmd.utils import MedmdError, load_tensors
torch.load(sys.argv[2], weights_only=True)
used = int(next(l for l in open("/proc/self/status") if l.startswith("VmSize")).split()[1]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (used + 300 * 2**20,) * 2)
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        load_tensors(path, role="checkpoint")
    except MedmdError:
        print("refused", path.name)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit of memory is Linux's")
def test_a_refusal_costs_little_memory(tmp_path):
    """Each within 300 MiB above what Python and torch take."""
    files = tmp_path / "files"
    files.mkdir()
    for name, make in HOSTILE.items():
        make(files / name)
    # The dearest that the limits let through: a structure that puts something into the memory with each two bytes.
    rebuilt(files / "memory", structure=b"\x80\x02" + b"N\x94" * ((4 << 20) // 2 - 10) + b".")
    torch.save(GOOD, tmp_path / "good.pt")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", LIMITED, str(files), str(tmp_path / "good.pt")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    refused = {line.split()[1] for line in done.stdout.splitlines()}
    # link leads to `elsewhere`, which lies there too and is sound.
    assert refused == {*HOSTILE, "memory"}
    assert not (tmp_path / PROOF).exists()
