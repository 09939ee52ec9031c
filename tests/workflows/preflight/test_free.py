import psutil
import pytest
import torch

from medmd.workflows.preflight._free import device_memory, host_memory, shared_memory

MIB = 1 << 20


def group(folder, limit, usage, *, names=("memory.max", "memory.current"), inactive=None, total=False):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{usage}\n")
    name = "total_inactive_file" if total else "inactive_file"
    lines = ["anon 5", *([] if inactive is None else [f"{name} {inactive}"]), "active_file 77"]
    (folder / "memory.stat").write_text("\n".join(lines) + "\n")


@pytest.fixture
def member(tmp_path):
    def make(text):
        path = tmp_path / "cgroup-of-self"
        path.write_text(text)
        return {"cgroups": tmp_path / "fs", "membership": path}

    return make


def machine():
    return psutil.virtual_memory().available


def test_without_control_groups_it_is_the_machine_s(tmp_path):
    free = host_memory(cgroups=tmp_path / "none", membership=tmp_path / "none")
    assert free.where == "on this machine"
    assert abs(free.number - machine()) < 0.3 * machine()


def test_version_2_in_a_container_whose_own_path_is_not_shown(tmp_path, member):
    places = member("0::/docker/abc\n")
    group(tmp_path / "fs", 512 * MIB, 200 * MIB, inactive=50 * MIB)
    free = host_memory(**places)
    assert free.number == (512 - 200 + 50) * MIB
    assert "container" in free.where


def test_version_2_counts_the_tightest_group_above(tmp_path, member):
    places = member("0::/user/job/step\n")
    group(tmp_path / "fs/user/job/step", "max", 10 * MIB)
    group(tmp_path / "fs/user/job", 300 * MIB, 100 * MIB)
    group(tmp_path / "fs/user", 900 * MIB, 800 * MIB)
    assert host_memory(**places).number == 100 * MIB


def test_version_1(tmp_path, member):
    places = member("5:devices:/x\n4:cpu,memory:/job\n0::/\n")
    names = ("memory.limit_in_bytes", "memory.usage_in_bytes")
    group(tmp_path / "fs/memory/job", 400 * MIB, 100 * MIB, names=names, inactive=30 * MIB, total=True)
    group(tmp_path / "fs/memory", 9223372036854771712, 10**9, names=names)
    assert host_memory(**places).number == 330 * MIB


def test_a_group_that_uses_more_than_its_limit_leaves_nothing(tmp_path, member):
    places = member("0::/\n")
    group(tmp_path / "fs", 100 * MIB, 101 * MIB)
    assert host_memory(**places).number == 0


@pytest.mark.parametrize("content", ["max", "", "nonsense", str(1 << 62)])
def test_no_limit_and_unreadable_ones_count_for_nothing(tmp_path, member, content):
    places = member("0::/\n")
    group(tmp_path / "fs", content, 5)
    assert host_memory(**places).where == "on this machine"


def test_this_machine_answers():
    assert 0 < host_memory().number <= psutil.virtual_memory().total


def test_only_cuda_has_memory_of_its_own(monkeypatch):
    assert device_memory(torch.device("cpu")) is None
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (3 * MIB, 8 * MIB))
    free = device_memory(torch.device("cuda:1"))
    assert free is not None
    assert (free.number, free.where) == (3 * MIB, "on cuda:1")


def test_shared_memory_is_that_of_its_folder(tmp_path):
    assert shared_memory(tmp_path) == pytest.approx(psutil.disk_usage(str(tmp_path)).free, rel=0.05)
    assert shared_memory(tmp_path / "none") is None
