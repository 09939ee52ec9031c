import shutil
from collections import namedtuple

import pytest
import torch

from medmd.workflows.preflight._disk import DiskPlan, disk_problems, phantom_problems, run_bytes
from medmd.workflows.preflight._network import NetworkCost

MIB = 1 << 20
NETWORK = NetworkCost(weights=11 * MIB, parameters=10 * MIB, activations=0, largest=0)
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def disk(monkeypatch):
    def of(free):
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(free, 0, free))

    return of


def test_a_checkpoint_is_as_large_as_the_tensors_in_it(tmp_path):
    module = torch.nn.Sequential(torch.nn.Linear(400, 300), torch.nn.BatchNorm1d(300))
    optimizer = torch.optim.AdamW(module.parameters())
    module(torch.randn(4, 400)).sum().backward()
    optimizer.step()
    best = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    torch.save({"network": module.state_dict(), "optimizer": optimizer.state_dict(), "best": best}, tmp_path / "a.pt")
    network = NetworkCost(
        weights=sum(tensor.nbytes for tensor in best.values()),
        parameters=sum(parameter.nbytes for parameter in module.parameters()),
        activations=0,
        largest=0,
    )
    one, two = (
        run_bytes(DiskPlan(steps=0, training_stages=1, keep_checkpoints=k, tracking=False), network) for k in (1, 2)
    )
    assert two - one == pytest.approx((tmp_path / "a.pt").stat().st_size, rel=0.02)


def test_one_more_checkpoint_than_are_kept_exists_while_it_is_written():
    base = run_bytes(DiskPlan(steps=0, training_stages=0, tracking=False), NETWORK)
    checkpoint = 2 * (NETWORK.weights + NETWORK.parameters)
    for stages, keep, files in ((1, 1, 2), (1, 3, 4), (2, 2, 5)):
        plan = DiskPlan(steps=0, training_stages=stages, keep_checkpoints=keep, tracking=False)
        assert run_bytes(plan, NETWORK) - base == files * checkpoint


def test_tracking_copies_model_and_last_checkpoints():
    quiet, tracked = (run_bytes(DiskPlan(steps=1000, tracking=each), NETWORK) for each in (False, True))
    assert tracked - quiet >= 2 * 2 * (NETWORK.weights + NETWORK.parameters) + NETWORK.weights


def test_a_longer_training_writes_more():
    short, long = (run_bytes(DiskPlan(steps=steps), NETWORK) for steps in (10, 100_000))
    assert long > short + 100 * MIB


@pytest.mark.parametrize(("free", "levels"), [(2000, []), (110, ["warning"]), (99, ["refusal"])])
def test_a_disk_is_compared_with_what_will_be_written(tmp_path, disk, free, levels):
    disk(free)
    found = list(disk_problems(tmp_path / "new", 100))
    assert [problem.level for problem in found] == levels
    for problem in found:
        assert problem.setting == "keep_checkpoints"
        assert str(tmp_path) in problem.found
        assert "output_dir" in problem.fix


def test_what_the_folder_already_holds_is_not_needed_again(tmp_path, disk):
    disk(50)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "a.pt").write_bytes(b"x" * 80)
    assert list(disk_problems(tmp_path, 100)) == []


def test_a_phantom_needs_its_own_space(tmp_path, disk):
    disk(10 * MIB)
    (problem,) = phantom_problems(tmp_path / "phantom", 480)
    assert problem.setting == "phantom_dir"
    assert list(phantom_problems(tmp_path, 10)) == []


def test_an_eye_of_the_phantom_is_as_large_as_was_measured(tmp_path):
    from medmd.data import PhantomCohort
    from medmd.workflows.preflight._disk import _PHANTOM_EYE

    PhantomCohort(4, 0).write(tmp_path / "p", contact_sheet=False)
    held = sum(path.stat().st_size for path in (tmp_path / "p").rglob("*") if path.is_file())
    assert 0.8 * held <= 4 * _PHANTOM_EYE <= 1.4 * held
