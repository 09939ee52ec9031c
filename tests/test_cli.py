import json
import logging
import subprocess
import sys
from types import SimpleNamespace

import pytest

from medmd import __version__, cli
from medmd.commands import VERBS, load_verb
from medmd.utils import MedmdError


def run_python(*arguments, **options):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, **options)


@pytest.fixture
def verb(monkeypatch):
    """Put a verb of our own behind the name `check`; its `run` does what the test says."""

    def install(run):
        def add_arguments(parser):
            parser.add_argument("words", nargs="*")
            parser.add_argument("--loud", action="store_true")

        monkeypatch.setattr(cli, "load_verb", lambda _: SimpleNamespace(add_arguments=add_arguments, run=run))

    return install


def raising(error):
    def run(args):
        raise error

    return run


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["--verbose", "--help"], ["nonsense"], ["bundle-path"]]
)
def test_answers_without_importing_torch_or_monai(arguments):
    code = (
        "import sys\nfrom medmd.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'monai', 'mlflow', 'ignite', 'numpy', 'pandas'} & set(sys.modules)\n"
        "sys.exit(f'imported: {sorted(heavy)}' if heavy else 0)\n"
    )
    done = run_python("-c", code, *arguments)
    assert done.returncode == 0, done.stderr


def test_help_lists_every_verb_with_its_summary(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    for name, summary in VERBS.items():
        assert any(name in line and summary in line for line in shown.splitlines())


def test_without_a_verb_it_shows_the_help(capsys):
    assert cli.main([]) == 0
    assert "verbs:" in capsys.readouterr().out


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"medmd {__version__}\n"


@pytest.mark.parametrize("name", VERBS)
def test_each_verb_has_its_module_and_its_help(name, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([name, "--help"])
    shown = capsys.readouterr().out
    assert stop.value.code == 0
    assert f"usage: medmd {name}" in shown
    assert "--debug" in shown
    assert callable(load_verb(name).run)


@pytest.mark.parametrize(("typed", "meant"), [("chek", "check"), ("doctr", "doctor"), ("bundle_path", "bundle-path")])
def test_unknown_verb_suggests_the_nearest(typed, meant, capsys):
    assert cli.main([typed]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"medmd: error: unknown verb {typed!r}. Did you mean {meant!r}?")
    assert shown.err.count("\n") == 1


def test_unknown_verb_that_resembles_none_lists_them_all(capsys):
    assert cli.main(["zzzz"]) == 2
    assert ", ".join(VERBS) in capsys.readouterr().err


def test_arguments_reach_the_verb_and_its_code_comes_back(verb):
    seen = []
    verb(lambda args: seen.append(args) or 7)
    assert cli.main(["check", "a", "b", "--loud"]) == 7
    assert (seen[0].words, seen[0].loud, seen[0].debug, seen[0].verbose) == (["a", "b"], True, False, False)


@pytest.mark.parametrize("arguments", [["--verbose", "--debug", "check", "x"], ["check", "--debug", "x", "--verbose"]])
def test_shared_options_stand_before_or_after_the_verb(arguments, verb):
    seen = []
    verb(lambda args: seen.append(args) or 0)
    assert cli.main(arguments) == 0
    assert seen[0].debug
    assert seen[0].verbose


@pytest.mark.parametrize("arguments", [["--colour", "check"], ["check", "--colour"], ["check", "--lou"], ["--ver"]])
def test_unknown_and_shortened_options_are_refused(arguments, verb, capsys):
    verb(lambda args: 0)
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2
    assert "unrecognized arguments" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error", [MedmdError("the target of case a1 is absent"), FileNotFoundError(2, "No such file", "x.json")]
)
def test_wrong_input_is_one_line_and_code_2(error, verb, capsys):
    verb(raising(error))
    assert cli.main(["check"]) == 2
    shown = capsys.readouterr()
    assert shown.err == f"medmd: error: {error}\n"
    assert shown.out == ""


@pytest.mark.parametrize("error", [MedmdError("m"), FileNotFoundError("f")])
@pytest.mark.parametrize("arguments", [["--debug", "check"], ["check", "--debug"]])
def test_debug_lets_the_error_through(error, arguments, verb):
    verb(raising(error))
    with pytest.raises(type(error)):
        cli.main(arguments)


def test_faults_of_the_program_are_not_hidden(verb):
    verb(raising(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        cli.main(["check"])


def test_interrupt(verb, capsys):
    verb(raising(KeyboardInterrupt()))
    assert cli.main(["check"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_verbose_raises_the_level_of_our_loggers_only(verb):
    verb(lambda args: 0)
    try:
        cli.main(["check", "--verbose"])
        assert logging.getLogger("medmd").level == logging.DEBUG
        assert logging.getLogger().level != logging.DEBUG
        cli.main(["check"])
        assert logging.getLogger("medmd").level == logging.INFO
    finally:
        for name in ("medmd", "data_prep"):
            logging.getLogger(name).setLevel(logging.NOTSET)


def test_a_reader_that_goes_away_is_no_error():
    code = "import sys\nfrom medmd import cli\n" + (
        "from types import SimpleNamespace\n"
        "def run(args):\n"
        "    for _ in range(100_000): print('x' * 100)\n"
        "    return 0\n"
        "cli.load_verb = lambda _: SimpleNamespace(add_arguments=lambda p: None, run=run)\n"
        "sys.exit(cli.main(['check']))\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        complaint = process.stderr.read()
    assert process.returncode == 141
    assert complaint == b""


def test_the_process_exits_with_the_code():
    done = run_python("-m", "medmd.cli", "nonsense")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


def test_doctor_runs_as_a_process():
    done = run_python("-m", "medmd.cli", "doctor", "--json")
    assert json.loads(done.stdout)["medmd"] == __version__
