import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from medmd.utils import derive_seed

parts = st.lists(st.integers() | st.text(max_size=5), min_size=1, max_size=4)


@given(parts=parts)
def test_seeds_fit_every_generator_and_repeat(parts):
    seed = derive_seed(*parts)

    assert 0 <= seed < 2**31
    assert seed == derive_seed(*parts)


def test_parts_do_not_run_into_each_other():
    groups = [(1, 23), (12, 3), ("1", 23), (1, "23"), ("123",), (123,), (1, 2, 3), (3, 2, 1), (True, 23)]

    assert len({derive_seed(*parts) for parts in groups}) == len(groups)


def test_neighbours_are_spread_evenly():
    seeds = [derive_seed(0, "train", epoch, index) for epoch in range(40) for index in range(100)]
    eighths = [sum(seed * 8 // 2**31 == part for seed in seeds) for part in range(8)]

    assert len(set(seeds)) == 4000
    # 500 are expected in each eighth; 6 standard deviations of a binomial are 125.
    assert all(abs(count - 500) < 125 for count in eighths)


def test_another_process_derives_the_same_seed():
    code = "from medmd.utils import derive_seed; print(derive_seed(7, 'train', 3, 11))"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout

    assert int(out) == derive_seed(7, "train", 3, 11)
