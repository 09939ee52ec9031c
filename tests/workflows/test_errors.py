import sys

import pytest

from medmd.utils import MedmdError
from medmd.workflows import explain_errors, user_error


def chain(first):
    """As MONAI wraps what a component raises."""
    try:
        try:
            raise first
        except Exception as error:
            raise RuntimeError("Failed to instantiate component") from error
    except RuntimeError as error:
        return error


@pytest.fixture
def hook(monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "excepthook", lambda *arguments: seen.append(arguments))
    explain_errors()
    return seen


def test_a_wrapped_error_of_the_user_is_one_line(hook, capsys):
    error = chain(MedmdError("dataset_dir: no datalist."))
    sys.excepthook(type(error), error, error.__traceback__)
    assert capsys.readouterr().err == "medmd: error: dataset_dir: no datalist.\n"
    assert hook == []


def test_any_other_error_is_shown_as_before(hook, capsys):
    error = chain(KeyError("x"))
    sys.excepthook(type(error), error, error.__traceback__)
    assert capsys.readouterr().err == ""
    assert [found[1] for found in hook] == [error]


def test_explaining_twice_keeps_the_first_hook(hook):
    first = sys.excepthook
    explain_errors()
    assert sys.excepthook is first


def test_the_cause_is_found_at_any_depth():
    own = MedmdError("own")
    assert user_error(own) is own
    assert user_error(chain(own)) is own
    assert user_error(chain(ValueError("x"))) is None
    assert user_error(None) is None


def test_debug_shows_the_traceback_before_the_sentence(hook, capsys):
    explain_errors(debug=True)
    error = chain(MedmdError("dataset_dir: no datalist."))
    sys.excepthook(type(error), error, error.__traceback__)
    assert [found[1] for found in hook] == [error]
    assert capsys.readouterr().err == "medmd: error: dataset_dir: no datalist.\n"
    explain_errors()
    sys.excepthook(type(error), error, error.__traceback__)
    assert len(hook) == 1


def test_an_explanation_that_fails_does_not_hide_the_error(hook, monkeypatch):
    def fail(error):
        raise RuntimeError

    monkeypatch.setattr("medmd.workflows.check_config.explain", fail)
    error = chain(MedmdError("x"))
    sys.excepthook(type(error), error, error.__traceback__)
    assert [found[1] for found in hook] == [error]
