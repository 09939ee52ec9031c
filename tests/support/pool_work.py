"""Work for worker processes, which import it by name."""

import os
import signal
import sys
import time


def double(number):
    time.sleep(0.01 * (number % 3))
    return 2 * number


def die_at_seven(number):
    if number == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def nap(seconds):
    time.sleep(seconds)
    return seconds


def is_loaded(module):
    return module in sys.modules


def shout(number):
    os.write(1, b"canary")
    os.write(2, b"canary")
    return number


def die_once(path):
    """Dies the first time; the file tells that it has."""
    if not os.path.exists(path):  # noqa: PTH110 - a text
        with open(path, "w", encoding="utf-8"):  # noqa: PTH123 - a text
            pass
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGKILL)
    return path
