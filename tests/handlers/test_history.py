import csv
import math

import pandas as pd
import pytest
import torch
from ignite.engine import Engine, Events

from medmd.handlers import History, RecordHistory
from medmd.handlers._history import Entry
from medmd.utils import MedmdError


class Trainer(Engine):
    """Logs the iteration and a third of it."""

    def __init__(self):
        super().__init__(self.step)
        self.logs = {}

    def step(self, engine, batch):
        number = torch.tensor(float(engine.state.iteration), requires_grad=True)
        self.logs = {"a": number, "b": number.detach().double() / 3}


def _record(**options):
    recorder = RecordHistory(history=History(), stage="train", **options)
    trainer = Trainer()
    recorder.attach(trainer)
    return recorder, trainer


@pytest.mark.parametrize("every", [1, 2, 3, 50])
def test_every_number_of_every_iteration_is_there_once_in_order(every):
    recorder, trainer = _record(every=every)
    trainer.run([0, 0, 0], max_epochs=2)

    expected = [("train", (i - 1) // 3 + 1, i, n, v) for i in range(1, 7) for n, v in (("a", float(i)), ("b", i / 3))]
    assert list(recorder.history) == expected
    assert len(recorder.history) == 12


def test_the_host_is_asked_every_nth_iteration_only(monkeypatch):
    transfers = []
    read = torch.Tensor.tolist
    monkeypatch.setattr(torch.Tensor, "tolist", lambda self: transfers.append(len(self)) or read(self))
    recorder, trainer = _record(every=4)
    trainer.run([0] * 10, max_epochs=1)

    assert transfers == [8, 8, 4]
    assert len(recorder.history) == 20


def test_reading_the_history_inside_an_epoch_brings_what_waits():
    recorder, trainer = _record(every=100)
    seen = []
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda _: seen.append(len(recorder.history.table())))
    trainer.run([0, 0, 0], max_epochs=1)

    assert seen == [2, 4, 6]


def test_a_csv_reads_back_exactly(tmp_path):
    history = History()
    values = [1 / 3, 1e-300, -2.5, math.nan, 12345678.9]
    history.add([Entry("pretrain", 1, i, f"oct/x{i}", value) for i, value in enumerate(values)])
    path = tmp_path / "folder" / "history.csv"
    history.write(path)
    with path.open(newline="") as file:
        rows = list(csv.reader(file))

    assert rows[0] == ["stage", "epoch", "iteration", "name", "value"]
    assert [row[:4] for row in rows[1:]] == [["pretrain", "1", str(i), f"oct/x{i}"] for i in range(5)]
    assert [float(row[4] or "nan").hex() for row in rows[1:]] == [value.hex() for value in values]


def test_a_state_comes_back_exactly():
    history = History()
    history.add([Entry("b", 1, 5, "y", 1 / 3), Entry("a", 2, 9, "x", math.pi), Entry("b", 1, 5, "x", -1e-300)])
    fresh = History()
    fresh.add([Entry("old", 0, 0, "old", 0.0)])
    fresh.load_state_dict(history.state_dict())

    assert list(fresh) == list(history)
    empty = History()
    fresh.load_state_dict(empty.state_dict())
    assert len(fresh) == 0
    assert fresh.table().empty


def test_metrics_of_an_epoch_are_recorded_when_they_are_new(stage, tmp_path):
    run = stage(tmp_path, epochs=5, interval=2).run()
    rows = [entry for entry in run.history if entry.name.startswith("val_")]

    assert {entry.epoch for entry in rows} == {2, 4}
    assert {(entry.epoch, entry.iteration) for entry in rows} == {(2, 6), (4, 12)}
    assert len({entry.value for entry in rows if entry.name == "val_fusion_mse"}) == 2


def test_names_of_both_stages(stage, tmp_path):
    one = stage(tmp_path / "one", stage="pretrain", epochs=1).run()
    two = stage(tmp_path / "two", epochs=1, network=one.network, history=one.history).run()
    names = {part: {entry.name for entry in two.history if entry.stage == part} for part in ("pretrain", "train")}

    assert {
        *("oct/loss", "oct/regression", "oct/contrastive", "oct/margin", "fundus/loss", "val_oct_mse"),
        *("oct/share_without_positive_head", "oct/share_without_positive_tail"),
    } <= names["pretrain"]
    assert {
        *("loss", "loss_fusion", "loss_oct", "loss_fundus", "gamma", "sharpness", "cosine", "alpha_fusion", "conflict"),
        *("val_fusion_mse", "val_fusion_mae", "val_oct_mse"),
    } <= names["train"]


def test_the_file_is_written_every_epoch(tmp_path):
    _, trainer = _record(every=2, path=tmp_path / "history.csv")
    trainer.run([0, 0, 0], max_epochs=2)

    assert len(pd.read_csv(tmp_path / "history.csv")) == 12


def test_listeners_hear_everything_once():
    recorder, trainer = _record(every=2)
    heard = []
    recorder.listeners.append(heard.extend)
    trainer.run([0, 0, 0], max_epochs=2)

    assert heard == list(recorder.history)


def test_a_wrong_interval_is_refused():
    with pytest.raises(MedmdError, match="log_every must be at least 1, got 0"):
        RecordHistory(history=History(), stage="train", every=0)
