import signal
from types import SimpleNamespace

import pytest

from medmd import cli


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_verb_that_is_stopped_cleans_up_and_ends_with_the_code_of_the_signal(monkeypatch, capfd, number, code):
    before = signal.getsignal(number)
    seen = []

    def run(_):
        try:
            signal.raise_signal(number)
            seen.append("went on")
        finally:
            seen.append("cleaned up")

    monkeypatch.setattr(cli, "load_verb", lambda _: SimpleNamespace(__doc__="A verb.", add_arguments=print, run=run))

    assert cli.main(["check"]) == code
    assert seen == ["cleaned up"]
    assert capfd.readouterr().err == f"medmd: stopped by {number.name}.\n"
    assert signal.getsignal(number) == before
