"""A case that cannot be loaded ends the program also when workers that ignore signals loaded it."""

import multiprocessing
import subprocess
import sys

import pytest
from monai.data import DataLoader

from medmd.engines import RegressionEvaluator
from medmd.utils import MedmdError

SCRIPT = """
import runpy, sys
sys.path.insert(0, {folder!r})
import conftest
from test_workers import Cases, ignore_signals
from torch.utils.data import DataLoader
loader = DataLoader(Cases(12, bad=6), batch_size=4, num_workers=2, worker_init_fn=ignore_signals)
conftest.fusion_trainer(conftest.make_network(), [], train_data_loader=loader).run()
"""


class Cases:
    """Packed cases, of which one cannot be loaded."""

    def __init__(self, number, *, bad):
        from conftest import make_cases

        self.items, self.bad = make_cases(number), bad

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        if index == self.bad:
            msg = f"Case {self.items[index]['case_id']}: cannot be loaded."
            raise MedmdError(msg)
        return self.items[index]


def ignore_signals(_):
    import signal

    signal.signal(signal.SIGTERM, signal.SIG_IGN)


@pytest.fixture
def loader(tiny, monkeypatch):
    monkeypatch.syspath_prepend(__file__.rpartition("/")[0])
    monkeypatch.setitem(sys.modules, "conftest", sys.modules[type(tiny()).__module__])
    return DataLoader(Cases(12, bad=6), batch_size=4, num_workers=1, worker_init_fn=ignore_signals)


@pytest.mark.parametrize("stage", ["fusion", "contrastive"])
def test_a_trainer_ends_its_workers_and_the_sentence_stands_alone(tiny, loader, stage):
    trainer = getattr(tiny, stage)(tiny.network(), [], train_data_loader=loader)
    with pytest.raises(MedmdError) as caught:
        trainer.run()
    # The traceback is alive here, and with it the loader's iterator.
    assert str(caught.value) == "Case c006: cannot be loaded."
    assert trainer.state.iteration == 1
    assert multiprocessing.active_children() == []


def test_an_evaluator_ends_its_workers(tiny, loader):
    with pytest.raises(MedmdError) as caught:
        RegressionEvaluator(device="cpu", val_data_loader=loader, network=tiny.network()).run()
    assert str(caught.value) == "Case c006: cannot be loaded."
    assert multiprocessing.active_children() == []


def test_the_program_ends():
    script = SCRIPT.format(folder=__file__.rpartition("/")[0])
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith("MedmdError: Case c006: cannot be loaded.")
