import gc
import os
import signal

import pytest
from monai.bundle import ConfigParser

from medmd.utils import STOP
from medmd.workflows import stop_on_signals
from medmd.workflows._stop import go_on_advice, steady_worker


@pytest.fixture(autouse=True)
def _signals_as_before():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    STOP.restore()
    assert {number: signal.getsignal(number) for number in before} == before


def test_it_lasts_as_long_as_the_bundle_that_asked_for_it():
    parser = ConfigParser({"first": {"_target_": "medmd.workflows.stop_on_signals"}})
    parser.get_parsed_content("first")
    assert STOP.installed
    assert STOP.advice.startswith("Start the same command again")
    del parser
    gc.collect()
    assert not STOP.installed


def test_a_bundle_that_is_forgotten_does_not_take_the_signals_from_a_later_one():
    parser = ConfigParser({"first": {"_target_": "medmd.workflows.stop_on_signals"}})
    parser.get_parsed_content("first")
    stop_on_signals()
    del parser
    gc.collect()
    assert STOP.installed


@pytest.mark.parametrize(("resume", "insists"), [(False, True), ("auto", False), (True, False)])
def test_the_advice_is_a_command_that_goes_on(resume, insists):
    assert ("--resume True" in go_on_advice(resume)) == insists


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_loaders_worker_outlives_the_signals_and_is_seeded_as_monai_does():
    import monai.data.utils

    process = os.fork()
    if not process:
        seen = []
        monai.data.utils.worker_init_fn = seen.append
        steady_worker(3)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.raise_signal(number)
        os._exit(7 if seen == [3] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 7
