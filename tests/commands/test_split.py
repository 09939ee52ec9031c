import argparse
import json
import shutil

import pytest

from medmd.commands import split
from medmd.data import check_datalist, load_datalist
from medmd.utils import MedmdError


def _run(*words) -> int:
    parser = argparse.ArgumentParser()
    split.add_arguments(parser)
    return split.run(parser.parse_args([str(word) for word in words]))


def test_a_split_passes_the_check_and_says_how_it_was_made(make_datalist, capsys):
    path = make_datalist(patients=20, unsplit=True)
    out = path.with_name("split.json")

    assert _run(path, out, "--seed", 3) == 0

    report = check_datalist(out)
    assert report.findings == []
    assert report.summary["splits"]["training"]["cases"] == 28
    assert load_datalist(out).header.details["split"] == {
        "by": "patient",
        "contents": True,
        "fractions": [0.7, 0.15, 0.15],
        "seed": 3,
    }
    assert "training: 28 cases (70.0%), 14 patients" in capsys.readouterr().out


def test_the_same_seed_writes_the_same_bytes(make_datalist):
    path = make_datalist(patients=8, unsplit=True)
    first, second, other = (path.with_name(f"{name}.json") for name in "abc")
    _run(path, first, "--seed", 1)
    _run(path, second, "--seed", 1)
    _run(path, other, "--seed", 2)

    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes() != other.read_bytes()


def test_folds_are_written_beside_each_other(make_datalist):
    path = make_datalist(patients=8, unsplit=True)

    assert _run(path, path.with_name("cv.json"), "--folds", 4, "--edges", -10) == 0

    tested = []
    for number in range(4):
        fold = path.with_name(f"cv-fold{number}.json")
        assert check_datalist(fold, hashes=False).ok
        datalist = load_datalist(fold)
        assert datalist.header.details["split"]["fold"] == number
        tested += [case.case_id for case in datalist.splits["testing"]]
    assert sorted(tested) == [f"c{number:03d}" for number in range(16)]


def test_a_split_higher_up_keeps_the_paths_right(make_datalist):
    path = make_datalist(patients=4, unsplit=True)
    out = path.parent.parent / "higher.json"

    assert _run(path, out, "--fractions", 0.5, 0.5, 0) == 0

    assert check_datalist(out).ok
    assert set(load_datalist(out).splits) == {"training", "validation"}


@pytest.mark.parametrize("declared", [False, True])
def test_identical_content_stays_together(make_datalist, declared):
    path = make_datalist(patients=6, unsplit=True)
    document = json.loads(path.read_text())
    # Two photographs of two patients are one; the hashes in the file do not tell so unless they are right.
    shutil.copy(path.parent / "fundus/c000.png", path.parent / "fundus/c010.png")
    document["unsplit"][10]["hashes"] = document["unsplit"][0]["hashes"] if declared else {}
    path.write_text(json.dumps(document))

    for seed in range(6):
        out = path.with_name(f"s{seed}.json")
        _run(path, out, "--seed", seed, *(["--declared-hashes"] if declared else []))
        home = {case.case_id: name for name, case in load_datalist(out).cases()}
        assert home["c000"] == home["c010"]


def test_a_split_that_exists_is_not_made_anew_by_accident(make_datalist):
    path = make_datalist()
    out = path.with_name("new.json")
    with pytest.raises(MedmdError, match="--resplit"):
        _run(path, out)
    assert _run(path, out, "--resplit") == 0
    with pytest.raises(MedmdError, match="--overwrite"):
        _run(path, out, "--resplit")
    assert _run(path, out, "--resplit", "--overwrite") == 0


def test_wrong_calls_are_told(make_datalist, tmp_path):
    path = make_datalist(unsplit=True)
    with pytest.raises(MedmdError, match="sum to 1"):
        _run(path, path.with_name("x.json"), "--fractions", 0.5, 0.1, 0.1)
    with pytest.raises(MedmdError, match="at least 9 groups"):
        _run(path, path.with_name("x.json"), "--folds", 9)
    with pytest.raises(MedmdError, match="lies outside the datalist's folder"):
        _run(path, tmp_path / "elsewhere" / "x.json")
    with pytest.raises(SystemExit):
        _run(path, path.with_name("x.json"), "--folds", 3, "--fractions", 1, 0, 0)


def test_the_folder_that_holds_the_datalist_is_enough(make_datalist):
    path = make_datalist(unsplit=True)
    by_file, by_folder = path.with_name("a.json"), path.with_name("b.json")
    assert _run(path, by_file) == 0
    assert _run(path.parent, by_folder) == 0
    assert by_folder.read_bytes() == by_file.read_bytes()
    by_file.replace(path)
    with pytest.raises(MedmdError, match=r"^datalist\.json: expected the list unsplit"):
        _run(path.parent, path.with_name("c.json"))


def test_a_folder_without_a_datalist_is_refused(tmp_path):
    with pytest.raises(MedmdError, match=r"expected a datalist or a folder that holds datalist\.json"):
        _run(tmp_path, tmp_path / "s.json")
