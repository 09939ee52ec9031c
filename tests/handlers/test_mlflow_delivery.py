"""What reaches a store that loses answers, refuses records or has lost the run: each number once."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.entities import Metric, RunData, RunInfo
from mlflow.entities import Run as MlflowRunEntity
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, PERMISSION_DENIED

from medmd.handlers._mlflow_buffer import Buffer
from medmd.handlers._mlflow_delivery import Delivery
from medmd.utils import read_json


class Client:
    """A store in memory that does what its `faults` say, one a call: nothing, fail before or fail after storing."""

    def __init__(self, faults=()):
        self.points, self.params, self.files, self.batches, self.status = [], {}, [], [], None
        self.faults = list(faults)
        self.stage = "active"
        self.error = ConnectionError("away")

    def get_run(self, run_id):
        latest = {}
        for point in self.points:
            known = latest.get(point.key)
            if known is None or (point.step, point.timestamp) >= (known.step, known.timestamp):
                latest[point.key] = point
        info = RunInfo(run_id, "1", "u", "RUNNING", 0, 0, self.stage)
        return MlflowRunEntity(info, RunData(metrics=list(latest.values()), params=list(self._params())))

    def _params(self):
        from mlflow.entities import Param

        return [Param(name, value) for name, value in self.params.items()]

    def log_batch(self, run_id, metrics=(), params=()):
        self._maybe("before")
        self.batches.append(len(metrics) + len(params))
        self.points += metrics
        self.params.update({param.key: param.value for param in params})
        self._maybe("after", taking=True)

    def log_artifact(self, run_id, path, to):
        self._maybe("before")
        self.files.append((path, to))
        self._maybe("after", taking=True)

    def set_terminated(self, run_id, status, end_time):
        self.status = (status, end_time)

    def _maybe(self, kind, taking=False):
        if self.faults and self.faults[0] == kind:
            self.faults.pop(0)
            raise self.error
        if taking and self.faults and self.faults[0] == "none":
            self.faults.pop(0)


class Store:
    def __init__(self, client):
        self.client = client


@pytest.fixture
def make(tmp_path):
    def build(client):
        return Delivery(Store(client), "run", tmp_path, Buffer(tmp_path / "p", "run"))

    return build


def batch(*rows, time=1):
    return {"kind": "metrics", "time": time, "rows": [list(row) for row in rows]}


def points(client):
    return [(point.key, point.step, point.value) for point in client.points]


def send_until_taken(delivery, records):
    for _ in range(60):
        try:
            delivery(records)
        except ConnectionError:
            continue
        return
    raise AssertionError("never taken")


@given(faults=st.lists(st.sampled_from(["none", "before", "after"]), max_size=12), sizes=st.lists(st.integers(1, 900)))
def test_each_number_is_stored_once_whatever_answers_are_lost(faults, sizes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    client = Client(faults)
    delivery = Delivery(Store(client), "run", folder, Buffer(folder / "p", "run"))
    steps = iter(range(10**6))
    expected = []
    for time, size in enumerate(sizes):
        rows = [(f"train/{n}", step, step / 3) for step in [next(steps) for _ in range(size)] for n in "ab"]
        expected += rows
        send_until_taken(delivery, [batch(*rows, time=time)])
    assert Counter(points(client)) == Counter(expected)
    assert all(size <= 900 for size in client.batches)


def test_a_new_process_does_not_send_again_what_was_taken_before_it_could_be_noted(make):
    client = Client()
    make(client)([batch(("loss", 1, 0.5), ("nan", 1, math.nan)), batch(("loss", 2, 0.25))])
    make(client)([batch(("loss", 1, 0.5), ("nan", 1, math.nan)), batch(("loss", 2, 0.25), ("loss", 3, 0.1))])
    assert repr(points(client)) == "[('loss', 1, 0.5), ('nan', 1, nan), ('loss', 2, 0.25), ('loss', 3, 0.1)]"


def test_a_final_number_that_changed_is_sent(make):
    client = Client()
    make(client)([batch(("test/mae", 0, 0.5))])
    make(client)([batch(("test/mae", 0, 0.75))])
    assert points(client) == [("test/mae", 0, 0.5), ("test/mae", 0, 0.75)]


def test_neighbouring_records_go_in_one_call_with_their_own_times(make):
    client = Client()
    make(client)([batch(("loss", n, 0.0), time=n) for n in range(50)])
    assert client.batches == [50]
    assert [point.timestamp for point in client.points] == list(range(50))


def test_a_parameter_is_written_once(make):
    client = Client()
    make(client)([{"kind": "parameters", "values": {"seed": "0", "workers": "2"}}])
    make(client)([{"kind": "parameters", "values": {"seed": "0", "workers": "8", "new": "1"}}])
    assert client.params == {"seed": "0", "workers": "2", "new": "1"}


def test_files_and_the_end_come_in_order(make, tmp_path):
    client = Client()
    delivery = make(client)
    (tmp_path / "a.csv").write_text("1")
    delivery([{"kind": "file", "path": "a.csv", "to": "tables"}, {"kind": "status", "status": "KILLED", "time": 7}])
    assert client.files == [(str(tmp_path / "a.csv"), "tables")]
    assert client.status == ("KILLED", 7)


def test_a_file_that_is_gone_is_told_and_holds_up_nothing(make, caplog):
    client = Client()
    make(client)([{"kind": "file", "path": "p/files/1/a.csv", "to": None}, batch(("loss", 1, 0.0))])
    assert "a.csv is gone" in caplog.text
    assert points(client) == [("loss", 1, 0.0)]


def test_what_is_refused_for_ever_is_set_aside_and_the_rest_goes_on(make, tmp_path, caplog):
    client = Client(["before"])
    client.error = MlflowException("bad value at /data/mueller-hans", INVALID_PARAMETER_VALUE)
    make(client)([batch(("loss", 1, math.nan)), {"kind": "status", "status": "FINISHED", "time": 7}])
    assert client.status == ("FINISHED", 7)
    kept = read_json(tmp_path / "p" / "refused-1.json")
    assert kept["record"]["rows"] == [["loss", "1", "nan", "1"]]
    assert "mueller" not in repr(kept) + caplog.text
    assert "p/refused-1.json" in caplog.text


@pytest.mark.parametrize("stage", ["active", "deleted"])
def test_what_may_be_mended_on_the_server_waits(make, stage):
    client = Client(["before"])
    code = PERMISSION_DENIED if stage == "active" else INVALID_PARAMETER_VALUE
    client.error = MlflowException("no", code)
    client.stage = stage
    with pytest.raises(MlflowException):
        make(client)([batch(("loss", 1, 0.0))])


def test_a_file_that_is_too_large_is_set_aside(make, tmp_path):
    class TooLargeError(RuntimeError):
        response = type("Response", (), {"status_code": 413})()

    client = Client(["before"])
    client.error = TooLargeError("413")
    (tmp_path / "a.bin").write_text("1")
    make(client)([{"kind": "file", "path": "a.bin", "to": None}])
    assert read_json(tmp_path / "p" / "refused-1.json")["record"]["path"] == "a.bin"


def test_the_last_step_is_asked_for_with_its_value(make):
    client = Client()
    client.points = [Metric("a", 1.5, 0, 3), Metric("a", 2.5, 0, 9), Metric("b", 0.1, 0, 0)]
    assert make(client).last() == {"a": (9, 2.5), "b": (0, 0.1)}
