import threading
import time

import pytest

from data_prep._parallel import map_in_order


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_results_come_in_the_order_of_the_work(workers):
    def work(number):
        time.sleep(0.002 * (5 - number % 5))
        return number * number

    assert list(map_in_order(work, range(20), workers=workers)) == [number * number for number in range(20)]


@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_reaches_the_caller_and_the_rest_is_dropped(workers):
    begun = []
    lock = threading.Lock()

    def work(number):
        with lock:
            begun.append(number)
        if number == 2:
            msg = "two"
            raise KeyError(msg)
        time.sleep(0.005)
        return number

    with pytest.raises(KeyError, match="two"):
        list(map_in_order(work, range(200), workers=workers))
    assert len(begun) < 100
