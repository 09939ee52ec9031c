"""The words of `medmd benchmark`."""

from medmd.cli import main


def test_an_unknown_plan_is_told_with_those_of_the_bundle(tmp_path, capsys):
    assert main(["benchmark", "smokey", "--work", str(tmp_path / "work"), "--dry-run"]) == 2
    told = capsys.readouterr().err
    assert "smokey: no such plan" in told
    assert "ingredients, phenomenon, small_data, " in told
    assert "smoke." in told
