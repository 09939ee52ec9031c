import pytest
from benchmark_work import noisy, write_work

from medmd.cli import main
from medmd.commands.reproduce import _WHAT
from medmd.reproduce import ITEMS


def test_the_help_names_every_item(capsys):
    assert list(ITEMS) == sorted(ITEMS, key=_WHAT.index)
    with pytest.raises(SystemExit):
        main(["reproduce", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert ", ".join(_WHAT) in shown


def test_a_table_is_printed_and_written(tmp_path, capsys):
    write_work(tmp_path / "work", {"joint_loss": {"fusion": noisy(2.0)}, "remd": {"fusion": noisy(1.0)}})
    arguments = ["table1", "--work", str(tmp_path / "work"), "--out", str(tmp_path / "out")]
    assert main(["reproduce", *arguments, "--replicates", "20", "--metric", "mae"]) == 0
    assert "Table 1: all methods (first)" in capsys.readouterr().out
    assert "OGM-GE" in (tmp_path / "out/table1.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["table3"], "Did you mean"),
        (["table1"], "--work"),
        (["table1", "--run"], "--run: expected --work"),
        (["table1", "--work", "nowhere"], "nowhere: no plan.json here"),
    ],
)
def test_what_cannot_be_made_is_refused(arguments, said, capsys):
    assert main(["reproduce", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_the_propositions_need_nothing(capsys):
    assert main(["reproduce", "propositions"]) == 0
    assert "a fixed gamma can do both" in capsys.readouterr().out
