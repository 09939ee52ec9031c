import argparse
import base64
import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from medmd.commands import report as command
from medmd.report import evaluate_predictions, format_table, load_inputs, write_predictions, write_report
from medmd.utils import MedmdError

HEADER = {
    "name": "phantom <b>",
    "version": "1",
    "source": "/home/someone/secret",
    "counts": {"testing": 60},
    "target": {"name": "md", "kind": "number", "unit": "dB"},
}
RUN = {
    "method": {"name": "Re-M3Dr", "rho": 0.05},
    "seed": 3,
    "versions": {"torch": "2.8.0+cpu"},
    "output_dir": "out",
    "config": "C:\\users\\x",
    "host": "workstation7",
    "mail": "someone@clinic.example",
}


def make_run(folder, table, history):
    write_predictions(folder / "predictions.csv", table)
    history.to_csv(folder / "history.csv", index=False)
    (folder / "datalist_header.json").write_text(json.dumps(HEADER))
    (folder / "run.json").write_text(json.dumps(RUN))
    return folder


@pytest.fixture(scope="module")
def reported(tmp_path_factory, written_table, written_history):
    """A run with its report, made once."""
    folder = make_run(tmp_path_factory.mktemp("runs") / "run", written_table, written_history)
    return folder, write_report(folder, replicates=30)


@pytest.fixture
def run_dir(tmp_path, table, history):
    return make_run(tmp_path / "run", table, history)


class Checker(HTMLParser):
    """Collects tags left open and everything that a page would fetch."""

    def __init__(self):
        super().__init__()
        self.open, self.sources = [], []

    def handle_starttag(self, tag, attrs):
        self.sources += [value for name, value in attrs if name in {"src", "href"}]
        if tag not in {"meta", "img", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_a_run_becomes_metrics_text_page_and_figures(reported, table):
    run_dir, evaluation = reported
    out = run_dir / "report"
    assert sorted(path.name for path in out.iterdir()) == ["figures", "metrics.json", "report.html", "report.md"]
    assert json.loads((out / "metrics.json").read_text()) == json.loads(json.dumps(evaluation))
    expected = evaluate_predictions(table, replicates=30)
    assert evaluation["overall"]["fusion"]["r2"] == expected["overall"]["fusion"]["r2"]
    text = (out / "report.md").read_text()
    for name in re.findall(r"\]\((figures/.*?)\)", text):
        assert (out / name).read_bytes().startswith(b"\x89PNG")
    assert len(list((out / "figures").iterdir())) == 8 == text.count("](figures/")
    for heading in ("Result", "By severity", "By laterality", "Compared with fusion (Re-M3Dr)", "Data", "Run"):
        assert f"## {heading}" in text
    assert "phantom &lt;b>" in text


def test_the_page_is_whole_and_fetches_nothing(reported):
    run_dir, _ = reported
    page = (run_dir / "report" / "report.html").read_text()
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert len(checker.sources) == 8
    prefix = "data:image/png;base64,"
    decoded = [base64.b64decode(source.removeprefix(prefix)) for source in checker.sources]
    assert decoded[0] == (run_dir / "report" / "figures" / "scatter.png").read_bytes()
    assert "http" not in re.sub(r"base64,[^\"]*", "", page)
    assert "phantom &lt;b&gt;" in page


def test_nothing_that_names_a_person_a_machine_or_a_folder(reported):
    run_dir, _ = reported
    for name in ("report.html", "report.md", "metrics.json"):
        text = re.sub(r"base64,[^\"]*", "", (run_dir / "report" / name).read_text())
        for secret in ("someone", "workstation7", "C:\\users", str(run_dir), "secret"):
            assert secret not in text
    text = (run_dir / "report" / "report.md").read_text()
    assert "| versions.torch | 2.8.0+cpu |" in text
    assert "| seed | 3 |" in text


def test_columns_of_words_stand_to_the_left(reported):
    page = (reported[0] / "report" / "report.html").read_text()
    text = (reported[0] / "report" / "report.md").read_text()
    heads = {tuple(re.findall(r"<th [^>]*>([^<]*)", line)): line for line in page.split("\n") if "<thead>" in line}
    words = {"predictor", "group", "field", "value", "agreement", "case (pseudonym)", "eye"}
    for names, line in heads.items():
        to_the_left = re.findall(r'class="text">([^<]*)', line)
        assert to_the_left == [name for name in names if name in words] != []
        rule = text.split(f"| {' | '.join(names)} |\n")[1].split("\n")[0]
        assert rule.strip("| ").split(" | ") == ["---" if name in words else "---:" for name in names]
        assert len(names) <= 8


def test_an_empty_stratum_is_one_line(table, tmp_path):
    evaluation = write_report(table[table["target"] > -12], out_dir=tmp_path, replicates=20)
    section = (tmp_path / "report.md").read_text().split("## By severity")[1].split("\n## ")[0]
    columns = len(evaluation["overall"])
    assert section.count("| worse than -12 dB | no cases |") == section.count("worse than -12 dB") == 1
    assert section.count("| better than -6 dB |") == columns


def test_equal_inputs_give_equal_bytes(reported, tmp_path):
    first = reported[0] / "report"
    write_report(reported[0], out_dir=tmp_path, replicates=30)
    files = [path.relative_to(first) for path in first.rglob("*") if path.is_file()]
    assert len(files) == 11
    assert all((first / file).read_bytes() == (tmp_path / file).read_bytes() for file in files)


def test_a_table_in_memory_and_what_is_passed_wins(table, tmp_path):
    header = {"target": {"name": "age", "unit": "years"}}
    evaluation = write_report(
        table, header=header, run={"method": "X"}, out_dir=tmp_path, replicates=20, created="2026-01-02"
    )
    assert evaluation["target"]["unit"] == "years"
    text = (tmp_path / "report.md").read_text()
    assert "Created 2026-01-02." in text
    assert "fusion (X)" in text
    assert "By quantiles of the measured value" in text
    assert "STAGE" not in text
    with pytest.raises(MedmdError, match="out_dir is missing"):
        write_report(table)


def test_a_bare_table_without_predictors_unit_or_laterality(table, tmp_path):
    bare = table[["case_id", "patient_id", "split", "target", "reference_label_noise"]]
    write_report(bare, header={"target": {"name": "score"}}, out_dir=tmp_path, replicates=20)
    text = (tmp_path / "report.md").read_text()
    assert "Largest errors" not in text
    assert "By laterality" not in text


def test_column_names_need_not_be_identifiers(table, tmp_path):
    write_report(table.rename(columns={"fusion": "my model"}), predictors=["my model"], out_dir=tmp_path, replicates=20)
    assert "Largest errors: my model" in (tmp_path / "report.md").read_text()


def test_largest_errors_are_the_largest(table, tmp_path):
    write_report(table, out_dir=tmp_path, replicates=20)
    rows = table[table["split"] == "testing"].set_index("case_id")
    worst = (rows["fusion"] - rows["target"]).abs().sort_values(ascending=False).index[:10]
    section = (tmp_path / "report.md").read_text().split("## Largest errors")[1].split("\n## ")[0]
    assert re.findall(r"^\| (\d{4}) ", section, flags=re.MULTILINE) == list(worst)


def test_load_inputs(run_dir, tmp_path):
    inputs = load_inputs(run_dir)
    assert inputs.target == ("md", "dB")
    assert inputs.method == "Re-M3Dr"
    alone = load_inputs(run_dir / "predictions.csv")
    assert alone.history is None
    assert alone.method is None
    assert alone.target == ("md", "dB")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MedmdError, match=r"no predictions.csv in this folder"):
        load_inputs(tmp_path / "empty")
    (run_dir / "run.json").write_text("[]")
    with pytest.raises(MedmdError, match=r"run.json: expected a JSON object, got list"):
        load_inputs(run_dir)


def parse(*arguments):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args([str(argument) for argument in arguments])


def test_command_prints_the_table_and_where_the_report_is(run_dir, table, capsys, tmp_path):
    (run_dir / "history.csv").unlink()
    assert command.run(parse(run_dir, "--replicates", 30, "--split", "validation")) == 0
    printed = capsys.readouterr().out
    expected = evaluate_predictions(table, replicates=30, split="validation")
    assert format_table(expected, method="Re-M3Dr") in printed
    assert printed.strip().endswith(str(run_dir / "report" / "report.html"))


def test_command_shows_notes(run_dir, table, capsys):
    leaking = table.assign(patient_id="p")
    write_predictions(run_dir / "predictions.csv", leaking)
    out = run_dir / "elsewhere"
    command.run(parse(run_dir / "predictions.csv", "--out", out, "--replicates", 20))
    assert json.loads((out / "metrics.json").read_text())["split"] == "testing"
    assert "note: 1 patients of this split stand in another split too" in capsys.readouterr().out


def test_command_refuses_no_replicates(capsys):
    with pytest.raises(SystemExit):
        parse("x", "--replicates", 0)
    assert "must be at least 1, got 0" in capsys.readouterr().err


def test_importing_the_report_imports_neither_torch_nor_matplotlib():
    code = "import sys, medmd.report; sys.exit(any(name in sys.modules for name in ('torch', 'matplotlib', 'monai')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
