"""What all releases share: choices, names, and pictures that stand in two parts."""

from dataclasses import replace

import numpy as np
import pytest

from data_prep._numbers import read_columns, read_header
from data_prep._release import Choice, Content, Options, Release
from data_prep._release_convert import convert_release
from data_prep._split import SplitOptions
from medmd.data import Case, Header, InputSpec, TargetSpec, load_datalist
from medmd.utils import MedmdError, read_json


def made(settings, folder, *, cases=12):
    """A release whose photographs show their number, two of them the same."""
    from PIL import Image

    header = Header(
        name="made",
        inputs={"face": InputSpec(kind="image"), "sex": InputSpec(kind="vector")},
        target=TargetSpec(name="y", unit="points", range=(0, 99)),
    )
    content = Content(header=header, cases=[], picture="face")
    for number in range(cases):
        name, shown = f"m{number:02d}", 2 if number == cases - 1 else number
        path = folder / f"{name}.png"
        Image.fromarray(np.full((6, 5), 10 * shown, np.uint8)).save(path)
        content.cases.append(Case(case_id=name, patient_id=f"p{number}", inputs={"sex": [1.0]}, target=float(number)))
        content.pictures[name] = path
        content.parts[name] = "testing" if number >= cases - 3 else "training"
    if settings["twice"]:
        content.cases.append(content.cases[0])
    return content


@pytest.fixture
def release(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    return Release(
        name="made",
        title="Made",
        inputs="",
        cases="cases",
        source="",
        layout="",
        citation="",
        licence="none",
        read=lambda folder, settings: made(settings, folder),
        choices=(Choice(name="twice", help=""), Choice(name="kind", help="", default="a", allowed=("a", "b"))),
    )


def convert(release, tmp_path, name="out", **options):
    return convert_release(release, tmp_path / "source", tmp_path / name, options=Options(**options))


def test_a_picture_of_two_parts_stays_in_the_later_one(release, tmp_path):
    report = convert(release, tmp_path)
    assert report.usable == 11
    splits = load_datalist(tmp_path / "out" / "datalist.json").splits
    assert {case.case_id for case in splits["testing"]} == {"m09", "m10", "m11"}
    assert "m02" not in {case.case_id for cases in splits.values() for case in cases}
    assert not (tmp_path / "out" / "face" / "m02.png").exists()
    found = read_json(tmp_path / "out" / "report.json")
    assert found["cases"]["quarantined"] == {"in_two_parts": {"count": 1, "items": ["m02"]}}
    assert (tmp_path / "out" / "contact_sheet.png").exists()


def test_a_new_split_keeps_equal_pictures_in_one_list(release, tmp_path):
    assert convert(release, tmp_path, resplit=True).usable == 12
    splits = load_datalist(tmp_path / "out" / "datalist.json").splits
    home = {case.case_id: split for split, cases in splits.items() for case in cases}
    assert home["m02"] == home["m11"]


def test_choices_are_checked_and_tell_the_conversions_apart(release, tmp_path):
    for wrong, words in (({"kind": "c"}, "one of a, b"), ({"twice": "yes"}, "a bool"), ({"size": 3}, "called size")):
        with pytest.raises(MedmdError, match=words):
            convert(release, tmp_path, choices=wrong)
    with pytest.raises(RuntimeError, match="stand twice: m00"):
        convert(release, tmp_path, choices={"twice": True})
    convert(release, tmp_path, choices={"kind": "b"}, split=SplitOptions(unsplit=True))
    with pytest.raises(MedmdError, match="finished conversion"):
        convert(release, tmp_path, split=SplitOptions(unsplit=True))


def test_nothing_usable_leaves_no_datalist(release, tmp_path):
    def nothing(folder, settings):
        content = made(settings, folder)
        for path in content.pictures.values():
            path.write_bytes(b"no picture")
        return content

    report = convert(replace(release, read=nothing), tmp_path)
    assert report.usable == 0
    assert not (tmp_path / "out" / "datalist.json").exists()
    assert (tmp_path / "out" / "report.html").exists()


def test_tables_of_numbers(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text('a,"b",name\n1,2.5,"x, y"\n3,4,z\n', encoding="utf-8-sig")
    assert read_header(path) == ["a", "b", "name"]
    np.testing.assert_array_equal(read_columns(path, ["b", "a"]), [[2.5, 1], [4, 3]])
    path.write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(MedmdError, match="a CSV file in UTF-8"):
        read_header(path)
    with pytest.raises(MedmdError, match="no such file"):
        read_header(tmp_path / "absent.csv")
