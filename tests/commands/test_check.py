import argparse
import json

import pytest

from medmd.commands import check
from medmd.utils import MedmdError


def _run(*words) -> int:
    parser = argparse.ArgumentParser()
    check.add_arguments(parser)
    return check.run(parser.parse_args([str(word) for word in words]))


def test_a_sound_cohort_gives_zero_and_both_files(make_datalist, tmp_path, capsys):
    path = make_datalist(missing={0: "oct"})

    assert _run(path, "--html", tmp_path / "c.html", "--json", tmp_path / "c.json") == 0

    out = capsys.readouterr().out
    assert "tiny: 12 cases of 6 patients" in out
    assert "input oct (volume): 11 present, 1 missing" in out
    assert out.endswith("datalist.json: usable; 0 refusals, 0 warnings\n")
    assert json.loads((tmp_path / "c.json").read_text())["ok"] is True
    assert "<svg" in (tmp_path / "c.html").read_text()


def test_a_refused_cohort_gives_one_and_says_why(make_datalist, capsys):
    path = make_datalist()
    document = json.loads(path.read_text())
    document["training"][1]["target"] = -99
    path.write_text(json.dumps(document))

    assert _run(path, "--headers-only") == 1

    out = capsys.readouterr().out
    assert "refusal target-range [case c001, list training]" in out
    assert "datalist.json: refused; 1 refusals" in out


def test_a_broken_header_and_unknown_targets_are_shown(make_datalist, capsys):
    path = make_datalist(unsplit=True)
    document = json.loads(path.read_text())
    for case in document["unsplit"]:
        case["target"] = None
    path.write_text(json.dumps(document))
    assert _run(path) == 0
    assert "target md" not in capsys.readouterr().out.replace("targets", "")

    del document["source"]
    path.write_text(json.dumps(document))
    assert _run(path) == 1
    assert "refusal schema" in capsys.readouterr().out


def test_the_folder_that_holds_the_datalist_is_enough(make_datalist, capsys):
    path = make_datalist()
    assert _run(path.parent, "--headers-only") == 0
    assert capsys.readouterr().out.endswith("datalist.json: usable; 0 refusals, 0 warnings\n")


def test_a_folder_without_a_datalist_is_refused(tmp_path):
    with pytest.raises(MedmdError, match=r"expected a datalist or a folder that holds datalist\.json"):
        _run(tmp_path)
