"""Workers: results in order, and a worker that dies takes nothing but its own item along."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from pool_work import die_at_seven, die_once, double, shout

from data_prep.hospital._pool import cores, open_pool
from medmd.utils import MedmdError


def test_results_come_in_order_and_items_are_taken_as_needed():
    taken = []

    def items():
        for number in range(30):
            taken.append(number)
            yield number

    with open_pool(workers=2, scheduler=None) as pool:
        results = pool.map(double, items(), lost=lambda _: -1)
        first = next(results)
        assert len(taken) < 12
        assert [first, *results] == [2 * number for number in range(30)]


def test_the_item_over_which_workers_die_is_told_and_the_others_are_done():
    with open_pool(workers=2, scheduler=None) as pool:
        results = list(pool.map(die_at_seven, range(12), lost=lambda number: ("lost", number)))
        again = list(pool.map(double, [4], lost=lambda _: -1))

    assert results == [("lost", 7) if number == 7 else number for number in range(12)]
    assert again == [8]


def test_an_item_whose_worker_died_once_is_done_by_another(tmp_path):
    with open_pool(workers=1, scheduler=None) as pool:
        path = str(tmp_path / "died")
        assert list(pool.map(die_once, [path], lost=lambda _: "lost")) == [path]


def test_workers_print_nothing(capfd):
    with open_pool(workers=1, scheduler=None) as pool:
        assert list(pool.map(shout, [1], lost=lambda _: -1)) == [1]

    assert "canary" not in "".join(capfd.readouterr())


def test_no_worker_outlives_a_killed_caller(tmp_path):
    code = (
        "import sys, time\nsys.path.insert(0, sys.argv[1])\n"
        "from data_prep.hospital._pool import open_pool\n"
        "def main():\n"
        "    with open_pool(workers=1, scheduler=None) as pool:\n"
        "        for _ in pool.map(time.sleep, [0, 600], lost=print):\n"
        "            print('begun', flush=True)\n"
        "if __name__ == '__main__':\n    main()\n"
    )
    script = tmp_path / "caller.py"
    script.write_text(code)
    caller = subprocess.Popen([sys.executable, str(script), str(tmp_path)], stdout=subprocess.PIPE, cwd=Path.cwd())
    assert caller.stdout.readline() == b"begun\n"
    children = psutil.Process(caller.pid).children(recursive=True)
    caller.kill()
    caller.wait()
    caller.stdout.close()

    assert children
    _, alive = psutil.wait_procs(children, timeout=60)
    assert alive == []


def test_there_is_at_least_one_core():
    assert 1 <= cores() <= (os.cpu_count() or 1)


def test_a_scheduler_that_does_not_answer_is_told(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("data_prep.hospital._pool_dask._SECONDS_TO_ANSWER", 0.2)

    with (
        pytest.raises(MedmdError, match="no Dask scheduler answers"),
        open_pool(workers=1, scheduler="tcp://127.0.0.1:1"),
    ):
        pass


def test_without_dask_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)

    with pytest.raises(MedmdError, match=r"medmd\[cluster\]"), open_pool(workers=1, scheduler="tcp://127.0.0.1:1"):
        pass
