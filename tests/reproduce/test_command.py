"""Options of `medmd reproduce` that nothing would use are refused."""

import pytest
from benchmark_work import noisy, write_work

from medmd.cli import main
from medmd.reproduce._run import EPOCHS, PHANTOM, SEEDS


@pytest.fixture(autouse=True)
def asked(monkeypatch):
    """What would be run by the benchmark; nothing is trained here, whatever a test lets through."""
    found = []
    monkeypatch.setattr("medmd.reproduce._bundle.subprocess.run", None)
    monkeypatch.setattr("medmd.reproduce.run_missing", lambda _, __, dataset, **___: found.append(dataset) or [])
    return found


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["cost", "--work", "w", "--run"], "--run: nothing is trained for cost"),
        (["propositions", "--run"], "--run: nothing is trained for propositions"),
        (["table1", "--work", "w", "--epochs", "5"], "--epochs: is of what --run trains"),
        (["fig2", "--work", "w", "--run", "--seeds", "5"], "--seeds: fig2 is made from single trainings"),
        (["fig5", "--work", "w", "--run", "--folds", "5"], "--folds: fig5 is made from single trainings"),
        (["fig1", "--work", "w", "--run", "--eyes", "9", "--data", "d"], "--eyes: is of the phantom, and --data"),
        (["fig5", "--run-dir", "full=d"], "--run-dir: expected NAME=DIR with one of"),
    ],
)
def test_options_that_nothing_uses_are_refused(arguments, said, capsys):
    assert main(["reproduce", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_the_help_tells_the_defaults(capsys):
    with pytest.raises(SystemExit):
        main(["reproduce", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert f"both stages (default: {EPOCHS})" in shown
    assert f"of the phantom (default: {PHANTOM['n']})" in shown
    assert f"added to those planned (default: {SEEDS})" in shown
    assert "cost and propositions train nothing" in shown


@pytest.mark.parametrize("chosen", [None, "x"])
def test_a_plan_of_several_data_sets_is_not_guessed_at(tmp_path, capsys, asked, chosen):
    write_work(tmp_path, {"joint_loss": {"fusion": noisy(1.0)}}, datasets=("x", "y"))
    arguments = ["reproduce", "fig1", "--work", str(tmp_path), "--run", "--permutations", "99", "--replicates", "20"]
    assert main(arguments if chosen is None else [*arguments, "--dataset", chosen]) == (2 if chosen is None else 0)
    said = capsys.readouterr()
    assert ("--dataset: expected one of x, y, or the name of a new one" in said.err) == (chosen is None)
    assert asked == ([] if chosen is None else [{"name": "x"}])


def test_the_only_data_set_of_a_plan_is_the_one(tmp_path, asked):
    write_work(tmp_path, {"joint_loss": {"fusion": noisy(1.0)}}, datasets=("mine",))
    arguments = ["reproduce", "fig1", "--work", str(tmp_path), "--run", "--permutations", "99", "--replicates", "20"]
    assert main([*arguments, "--epochs", "6"]) == 0
    assert asked == [{"name": "mine", "epochs": 6}]
