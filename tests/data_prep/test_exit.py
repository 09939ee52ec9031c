import pytest

from data_prep._exit import EXIT_CODES, Exit, exit_code
from data_prep._report import ConversionReport, Tally


def report(converted=2, **excluded):
    tally = Tally("eyes", total=converted + sum(excluded.values()), converted=converted)
    for reason, count in excluded.items():
        for number in range(count):
            tally.exclude(reason, f"{reason} {number}")
    return ConversionReport("tests", {}, {}, [tally], {}, harmless=frozenset({"litter"}))


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (report(), Exit.DONE),
        (report(litter=3), Exit.DONE),
        (report(litter=3, broken=1), Exit.QUARANTINE),
        (report(converted=0, broken=1), Exit.NOTHING_USABLE),
        (report(converted=0), Exit.NOTHING_USABLE),
    ],
)
def test_the_code_tells_what_became_of_it(made, code):
    assert exit_code(made) is code


def test_every_code_is_explained_and_none_is_that_of_a_crash():
    assert len(set(Exit)) == 4
    assert all(f"{code.value} " in EXIT_CODES for code in Exit)
    assert 1 not in set(Exit)
