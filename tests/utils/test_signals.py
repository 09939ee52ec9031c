import os
import signal
import subprocess
import sys
import threading

import pytest

from medmd.utils import STOP, Stopped, outlive_stop_signals, stop_signals

CODES = {signal.SIGTERM: 143, signal.SIGINT: 130}


@pytest.fixture(autouse=True)
def _as_before():
    before = {number: signal.getsignal(number) for number in CODES}
    yield
    assert {number: signal.getsignal(number) for number in CODES} == before
    assert not STOP.installed


@pytest.mark.parametrize("number", CODES)
def test_the_first_signal_raises_where_the_program_stands(number, capfd):
    def work():
        with stop_signals("Start again."):
            signal.raise_signal(number)
            pytest.fail("went on")

    with pytest.raises(Stopped) as caught:
        work()

    assert caught.value.code == CODES[number]
    assert caught.value.signum == number
    assert str(caught.value) == f"stopped by {number.name}"
    assert capfd.readouterr().err == f"medmd: stopped by {number.name}. Start again.\n"


def test_held_the_first_signal_waits_for_the_end_of_the_block(capfd):
    seen = []

    def work():
        with stop_signals() as stop:
            with stop.held():
                with stop.held():
                    signal.raise_signal(signal.SIGTERM)
                    seen.append(stop.requested)
                seen.append("inner block")
            pytest.fail("went on")

    with pytest.raises(Stopped):
        work()

    assert seen == [signal.SIGTERM, "inner block"]
    assert capfd.readouterr().err.splitlines() == [
        "medmd: SIGTERM: ending after the running step; a second signal ends at once.",
        "medmd: stopped by SIGTERM.",
    ]


def test_an_error_in_a_held_block_is_not_covered_up():
    def work():
        with stop_signals() as stop, stop.held():
            signal.raise_signal(signal.SIGTERM)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()


def test_the_last_things_to_do_end_without_an_exception():
    with stop_signals() as stop:
        with stop.held(check=False):
            signal.raise_signal(signal.SIGINT)
        assert stop.requested == signal.SIGINT


def test_nested_use_leaves_the_signals_to_the_outer_one():
    with stop_signals():
        with stop_signals("Inner."):
            pass
        assert STOP.installed
        with pytest.raises(Stopped):
            signal.raise_signal(signal.SIGTERM)


def test_an_earlier_user_does_not_end_the_time_of_a_later_one():
    first = STOP.install()
    second = STOP.install()
    STOP.restore(first)
    assert STOP.installed
    STOP.restore(second)
    assert not STOP.installed


def test_outside_of_the_main_thread_nothing_is_installed():
    seen = []

    def work():
        with stop_signals() as stop:
            seen.append(stop.installed)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]


def test_another_thread_does_not_give_the_signals_back():
    with stop_signals():
        thread = threading.Thread(target=STOP.restore)
        thread.start()
        thread.join()
        assert STOP.installed


def _child(act):
    """The exit status of a forked process that calls `act` and then would go on."""
    process = os.fork()
    if not process:
        # No cleaning up of the test session in the child.
        act()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 0), (signal.SIGTERM, -signal.SIGTERM)])
def test_a_forked_worker_leaves_ctrl_c_to_the_main_process(number, expected):
    with stop_signals():
        assert _child(lambda: signal.raise_signal(number)) == expected


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("number", CODES)
def test_a_worker_may_ignore_both(number):
    def act():
        outlive_stop_signals()
        signal.raise_signal(number)

    assert _child(act) == 0


PROGRAM = """
import signal, sys, time
from medmd.utils import stop_signals
with stop_signals("Start again.") as stop, stop.held():
    print("ready", flush=True)
    for _ in range(int(sys.argv[1])):
        time.sleep(0.02)
"""


@pytest.mark.parametrize("number", CODES)
@pytest.mark.parametrize("times", [1, 2])
def test_a_process_ends_with_the_code_of_its_signal_and_at_once_after_a_second(number, times):
    steps = "10" if times == 1 else "3000"
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, steps], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    said = process.stderr.readline()
    assert said.startswith(f"medmd: {number.name}: ending after the running step")
    if times == 2:
        process.send_signal(number)
    _, rest = process.communicate(timeout=30)

    assert process.returncode == (CODES[number] if times == 1 else -number)
    assert rest == (f"medmd: stopped by {number.name}. Start again.\n" if times == 1 else "")
