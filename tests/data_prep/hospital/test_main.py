"""The command: its arguments, exit codes and what it prints."""

import subprocess
import sys

import pytest

from data_prep.hospital.__main__ import main
from data_prep.hospital._site import load_site
from medmd.utils import WriteError

SITE = "name: clinic\noct: {min_slices: 4}\nquality: {max_saturated_volume: 1.0}\n"


@pytest.fixture
def files(tmp_path, export, pool):
    (tmp_path / "site.yaml").write_text(SITE)
    (tmp_path / "key").write_text("a key of at least 16 bytes")
    return [
        str(export),
        str(tmp_path / "out"),
        "--config",
        str(tmp_path / "site.yaml"),
        "--key-file",
        str(tmp_path / "key"),
    ]


def test_done_is_0_and_done_with_quarantine_is_3(files, export, capsys):
    assert main(files) == 0
    assert "7 cases of 7 eyes of 4 patients" in capsys.readouterr().out
    (export / "x.zip").write_bytes(b"PK\x03\x04")
    assert main(files) == 3


def test_nothing_usable_is_4(files, tmp_path, capsys):
    (tmp_path / "nothing").mkdir()

    assert main([str(tmp_path / "nothing"), *files[1:]]) == 4
    assert "nothing usable" in capsys.readouterr().err


@pytest.mark.parametrize(
    "change",
    [
        lambda words: words[:1],
        lambda words: words[:2],
        lambda words: [*words, "--init", "x"],
        lambda words: [*words, "--workers", "many"],
    ],
)
def test_a_call_that_argparse_refuses_is_2(files, change, capsys):
    with pytest.raises(SystemExit) as caught:
        main(change(files))
    assert caught.value.code == 2


def test_a_wrong_call_is_2_and_says_why(files, monkeypatch, capsys):
    monkeypatch.delenv("MEDMD_PSEUDONYM_KEY", raising=False)

    assert main([*files, "--workers", "0"]) == 2
    assert main(files[:4]) == 2
    told = capsys.readouterr().err
    assert "workers: expected at least 1" in told
    assert "secrets.token_hex" in told


def test_a_fault_of_the_program_is_1_and_its_text_is_not_told(files, monkeypatch, capsys):
    def fail(*_, **__):
        raise KeyError("/export/MUELLER^HANS")

    monkeypatch.setattr("data_prep.hospital.__main__.convert", fail)

    assert main(files) == 1
    told = capsys.readouterr().err
    assert "KeyError" in told
    assert "MUELLER" not in told


def test_an_interruption_is_told(files, monkeypatch, capsys):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("data_prep.hospital.__main__.convert", stop)

    assert main(files) == 130
    assert "finishes the work" in capsys.readouterr().err


def test_a_full_disk_is_told(files, monkeypatch, capsys):
    def fail(*_, **__):
        raise WriteError("The disk is full.")

    monkeypatch.setattr("data_prep.hospital.__main__.convert", fail)

    assert main(files) == 1
    assert "The disk is full. The same command" in capsys.readouterr().err


def test_init_prints_a_site_file_that_is_accepted(export, tmp_path, capsys):
    assert main(["--init", str(export)]) == 0

    (tmp_path / "proposed.yaml").write_text(capsys.readouterr().out)
    load_site(tmp_path / "proposed.yaml", source=export)


def test_locate_turns_pointers_of_the_report_into_places(files, export, tmp_path, capsys):
    import json

    bad = export / "MUELLER_HANS.zip"
    bad.write_bytes(b"PK\x03\x04")
    assert main(files) == 3
    told = capsys.readouterr()
    assert "MUELLER" not in told.out + told.err
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    pointer = report["files"]["quarantined"]["archive"]["items"][0]

    assert main([*files, "--locate", pointer, "0" * 16]) == 4
    assert capsys.readouterr().out == f"{pointer}\t{bad}\n{'0' * 16}\tnot found\n"
    (tmp_path / "key").write_text("another key of at least 16 bytes")
    assert main([*files, "--locate", pointer]) == 2


def test_locate_finds_the_files_of_a_case_and_the_rows_of_tables(tmp_path, export, pool, run):
    from data_prep.hospital import locate
    from medmd.data import load_datalist

    (export / "fields.csv").write_text("pid;eye;day;md\nHOSP-0001;R;2020-01-20;-3.5\nHOSP-0001;R;2020-01-20;x\n")
    table = (
        "tables:\n  - file: fields.csv\n    kind: visual_fields\n"
        "    columns: {patient: pid, laterality: eye, date: day, md: md}\n    constants: {pattern: 24-2}\n"
    )
    report = run(site=SITE + table)
    (row,) = report.tallies[1].excluded["row-md-unclear"]
    case = next(case for _, case in load_datalist(tmp_path / "out" / "datalist.json").cases())

    found = locate(export, tmp_path / "out", [row, case.case_id], key=b"a key of at least 16 bytes")

    assert found[row] == export.resolve() / "fields.csv#3"
    assert found[case.case_id] is not None
    assert found[case.case_id].is_relative_to(export.resolve())


@pytest.mark.slow
def test_the_module_runs_with_worker_processes(files, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "data_prep.hospital", *files, "--workers", "2"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "look at report.html" in done.stdout
