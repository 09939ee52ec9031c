"""The sending thread: order, pauses, one warning, and no error that gets lost."""

import logging
import threading
import time

import pytest

from medmd.handlers._mlflow_buffer import Buffer
from medmd.handlers._mlflow_sender import Sender


class Server:
    """Takes records, or refuses while it is down."""

    def __init__(self):
        self.taken = []
        self.attempts = []
        self.is_down = False
        self.latency = 0.0

    def __call__(self, records):
        self.attempts.append(time.monotonic())
        time.sleep(self.latency)
        if self.is_down:
            raise ConnectionError("down")
        self.taken += [record["n"] for record in records]


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def make(tmp_path, server):
    made = []

    def build(send=server, pause=0.01):
        buffer = Buffer(tmp_path / "p", "run")
        sender = Sender(buffer, send, explain=lambda error: f"It is {error}.", pause=pause)
        sender.is_quiet = False
        sender.start()
        made.append(sender)

        def put(*numbers):
            for n in numbers:
                buffer.append({"n": n})
            sender.wake()

        return sender, put

    yield build
    for sender in made:
        sender.close(10)


def until(condition):
    end = time.monotonic() + 20
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    assert condition()


def test_everything_is_sent_in_order(make, server):
    sender, put = make()
    for n in range(50):
        put(n)
    assert sender.settle()
    put(50)
    assert sender.close()
    assert server.taken == list(range(51))


def test_an_outage_is_warned_of_once_and_so_is_its_end(make, server, caplog):
    sender, put = make()
    put(0)
    assert sender.settle()
    server.is_down = True
    put(1, 2)
    until(lambda: len(server.attempts) > 4)
    assert [record.message.split(".")[0] for record in caplog.records] == ["It is down"]
    server.is_down = False
    until(lambda: server.taken == [0, 1, 2])
    until(lambda: len(caplog.records) == 2)
    assert "can be reached again" in caplog.records[1].message
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
    assert sender.failure is None


def test_pauses_grow_and_new_records_do_not_shorten_them(make, server):
    server.is_down = True
    _, put = make(pause=0.1)
    for n in range(60):
        put(n)
        time.sleep(0.01)
    # At 0, 0.1, 0.3 and 0.7 s.
    assert 2 <= len(server.attempts) <= 4


def test_closing_while_the_store_is_away_attempts_once_more_and_says_what_is_left(make, server, caplog):
    server.is_down = True
    sender, put = make(pause=60)
    put(0)
    until(lambda: len(server.attempts) == 1)
    assert not sender.close()
    assert len(server.attempts) == 2
    assert len(caplog.records) == 1


def test_closing_sends_what_is_there_without_the_pause(make, server):
    server.is_down = True
    sender, put = make(pause=60)
    put(0, 1)
    until(lambda: len(server.attempts) == 1)
    server.is_down = False
    assert sender.close()
    assert server.taken == [0, 1]


def test_a_slow_store_holds_up_nobody(make, server):
    server.latency = 0.3
    sender, put = make()
    start = time.monotonic()
    for n in range(100):
        put(n)
    assert time.monotonic() - start < 0.25
    assert sender.close()
    assert server.taken == list(range(100))


def test_closing_waits_no_longer_than_it_may(make, server):
    server.latency = 1.0
    sender, put = make()
    put(0)
    until(lambda: server.attempts)
    start = time.monotonic()
    assert not sender.close(0.05)
    assert time.monotonic() - start < 0.8


def test_settling_does_not_wait_for_a_store_that_is_away(make, server):
    server.is_down = True
    sender, put = make(pause=60)
    put(0)
    assert not sender.settle()
    assert isinstance(sender.failure, ConnectionError)


def test_a_defect_of_the_thread_is_raised_where_the_training_runs(make):
    class Defect(BaseException):
        pass

    def send(_):
        raise Defect

    sender, put = make(send)
    put(0)
    until(lambda: not sender._thread.is_alive())
    with pytest.raises(Defect):
        sender.wake()


def test_a_defect_at_the_end_is_raised_by_closing(make):
    go = threading.Event()

    class Defect(BaseException):
        pass

    def send(_):
        go.wait(10)
        raise Defect

    sender, put = make(send)
    put(0)
    go.set()
    with pytest.raises(Defect):
        sender.close()
    sender._defect = None


def test_quiet_at_first(make, server, caplog):
    server.is_down = True
    sender, put = make(pause=60)
    sender.is_quiet = True
    put(0)
    assert not sender.settle()
    assert caplog.records == []
