"""Workers: results in order, and a worker that dies takes nothing but its own item along."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from pool_work import die_at_seven, die_once, double, nap, shout

from medmd.utils import MedmdError, cores, open_pool


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


def test_short_work_is_handed_on_before_long_work_when_the_order_does_not_matter():
    with open_pool(workers=2, scheduler=None) as pool:
        list(pool.map(double, range(2), lost=lambda _: -1))
        results = list(pool.map(nap, [1.5, 0.0, 0.0, 0.0], lost=lambda _: -1, ordered=False, ahead=1))

    assert results == [0.0, 0.0, 0.0, 1.5]


def test_no_more_is_handed_out_than_asked_for():
    taken = []

    def items():
        for number in range(8):
            taken.append(number)
            yield number

    with open_pool(workers=2, scheduler=None) as pool:
        results = pool.map(double, items(), lost=lambda _: -1, ordered=False, ahead=1)
        next(results)
        assert len(taken) == 2
        assert len(list(results)) == 7


def test_an_exception_in_the_block_breaks_the_work_off():
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        _interrupted()

    assert time.monotonic() - start < 60


def _interrupted():
    with open_pool(workers=1, scheduler=None) as pool:
        for _ in pool.map(nap, [0, 300], lost=print, ahead=2):
            raise KeyboardInterrupt


def test_modules_are_loaded_before_the_workers_are_made(tmp_path):
    # In a process of its own: the server from which workers are made is one a process.
    script = tmp_path / "caller.py"
    script.write_text(
        "from pool_work import is_loaded\n"
        "from medmd.utils import open_pool\n"
        "def main():\n"
        "    with open_pool(workers=1, scheduler=None, preload=('colorsys',)) as pool:\n"
        "        print(list(pool.map(is_loaded, ['colorsys'], lost=print)))\n"
        "if __name__ == '__main__':\n    main()\n"
    )
    support = str(Path(__file__).parents[1] / "support")
    environment = {**os.environ, "PYTHONPATH": support}
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True, env=environment)

    assert done.stdout == "[True]\n"


def test_workers_print_nothing(capfd):
    with open_pool(workers=1, scheduler=None) as pool:
        assert list(pool.map(shout, [1], lost=lambda _: -1)) == [1]

    assert "canary" not in "".join(capfd.readouterr())


def test_no_worker_outlives_a_killed_caller(tmp_path):
    code = (
        "import sys, time\nsys.path.insert(0, sys.argv[1])\n"
        "from medmd.utils import open_pool\n"
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
    monkeypatch.setattr("medmd.utils._pool_dask._SECONDS_TO_ANSWER", 0.2)

    with (
        pytest.raises(MedmdError, match="no Dask scheduler answers"),
        open_pool(workers=1, scheduler="tcp://127.0.0.1:1"),
    ):
        pass


def test_without_dask_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)

    with pytest.raises(MedmdError, match=r"'\.\[cluster\]'"), open_pool(workers=1, scheduler="tcp://127.0.0.1:1"):
        pass


def test_ctrl_c_while_the_workers_are_being_imported_tells_no_traceback(tmp_path):
    flag = tmp_path / "importing"
    (tmp_path / "slow_import.py").write_text(
        f"import pathlib, time\npathlib.Path({str(flag)!r}).touch()\ntime.sleep(3)\n"
    )
    program = tmp_path / "program.py"
    program.write_text(
        "import signal, sys\n"
        "from medmd.utils import open_pool\n"
        "if __name__ == '__main__':\n"
        # A suite that a shell runs in the background hands on that SIGINT is ignored.
        "    signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "    try:\n"
        "        with open_pool(workers=1, scheduler=None, preload=['slow_import']) as pool:\n"
        "            list(pool.map(abs, [1, 2], lost=abs))\n"
        "    except KeyboardInterrupt:\n"
        "        sys.exit(130)\n"
    )
    paths = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    process = subprocess.Popen(
        [sys.executable, str(program)],
        env={**os.environ, "PYTHONPATH": paths},
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    limit = time.monotonic() + 60
    while not flag.exists() and time.monotonic() < limit:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    told = process.communicate(timeout=60)[1]
    assert flag.exists()
    assert process.returncode == 130
    assert told == ""
