import json

import numpy as np
import pytest
from releases import FORMULAS, write_stand_in, write_superconductivity
from training import train_once

from data_prep.superconductivity.__main__ import main
from data_prep.superconductivity._family import families
from medmd.cli import main as medmd
from medmd.data import load_datalist


def splits_of(out):
    return load_datalist(out / "datalist.json").splits


def test_a_family_is_its_leading_elements():
    elements = ["Y", "Ba", "Cu", "O", "La", "Sr", "Mg", "B"]
    amounts = np.array([
        [1, 2, 3, 7, 0, 0, 0, 0], [0.5, 2, 3, 6.5, 0, 0.5, 0, 0], [0, 0, 1, 4, 1.85, 0.15, 0, 0],
        [0, 0, 0, 0, 0, 0, 1, 2], [10, 20, 30, 70, 0, 0, 0, 0], np.ones(8),
    ])  # fmt: skip
    every = "-".join(sorted(elements))
    assert families(amounts, elements) == ["Ba-Cu-O", "Ba-Cu-O", "Cu-La-O", "B-Mg", "Ba-Cu-O", every]
    assert families(np.full((1, 20), 0.5), [f"E{n:02d}" for n in range(20)])[0].count("-") == 19


def test_numbers_and_families_of_the_release(tmp_path, capsys):
    source, out = write_superconductivity(tmp_path / "sc"), tmp_path / "out"
    assert main([str(source), str(out)]) == 0
    assert "families: 13, the largest of 8" in capsys.readouterr().out
    table = np.loadtxt(source / "train.csv", delimiter=",", skiprows=1)
    for cases in splits_of(out).values():
        for case in cases:
            row = table[int(case.case_id.rpartition("-")[2])]
            np.testing.assert_allclose(case.inputs["properties"], row[:-1], rtol=1e-6)
            assert case.target == pytest.approx(row[-1], abs=1e-4)
            assert len(case.inputs["composition"]) == 86
    homes = [{case.patient_id for case in cases} for cases in splits_of(out).values()]
    assert sum(map(len, homes)) == len(set.union(*homes)) == 13
    # A compound and its doped relatives are one family.
    owners = {case.case_id: case.patient_id for cases in splits_of(out).values() for case in cases}
    assert len({owners[f"superconductivity-{place:05d}"] for place in (0, 1, 15, 16)}) == 1
    assert medmd(["check", str(out)]) == 0


def test_a_split_by_compound_is_said_to_flatter(tmp_path):
    source, out = write_superconductivity(tmp_path / "sc"), tmp_path / "out"
    assert main([str(source), str(out), "--split-by", "compound"]) == 0
    people = [{case.patient_id for case in cases} for cases in splits_of(out).values()]
    assert sum(map(len, people)) == 60
    assert "flattered" in json.loads((out / "report.json").read_text())["split_by"]


def test_the_stand_in_has_families_of_its_own(tmp_path):
    source, out = write_stand_in(tmp_path / "sc"), tmp_path / "out"
    assert main([str(source), str(out), "--stand-in"]) == 0
    datalist = load_datalist(out / "datalist.json")
    assert datalist.header.name == "superconductors"
    assert {len(case.inputs["properties"]) for _, case in datalist.cases()} == {132}
    assert len({case.patient_id for _, case in datalist.cases()}) == len(FORMULAS)


def test_tables_that_do_not_belong_together(tmp_path, capsys):
    source = write_superconductivity(tmp_path / "sc")
    lines = (source / "unique_m.csv").read_text().splitlines()
    (source / "unique_m.csv").write_text("\n".join([lines[0], lines[2], lines[1], *lines[3:]]))
    assert main([str(source), str(tmp_path / "out")]) == 2
    assert "do not belong together" in capsys.readouterr().err
    (source / "unique_m.csv").unlink()
    assert main([str(source), str(tmp_path / "out")]) == 2
    assert "unique_m.csv is absent" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (
            lambda text: text.replace("property_7,", "critical_temp_7,", 1).replace("property_8,", "", 1),
            "81 properties",
        ),
        (lambda text: text.replace("\n", "\nx", 1), "a number in every cell"),
        (lambda text: text.splitlines()[0], "rows below the header"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*input contained no data")
def test_another_table_is_told_in_one_message(tmp_path, capsys, edit, words):
    source = write_superconductivity(tmp_path / "sc")
    (source / "train.csv").write_text(edit((source / "train.csv").read_text()))
    assert main([str(source), str(tmp_path / "out")]) == 2
    assert words in capsys.readouterr().err


def test_another_stand_in_is_told_in_one_message(tmp_path, capsys):
    source = write_stand_in(tmp_path / "sc")
    with np.load(source / "stand_in.npz") as file:
        arrays = {name: file[name] for name in file.files}
    texts = np.full(arrays["magpie"].shape, "a")
    for changed, words in (
        ({"tc": arrays["tc"][:3]}, "a row a compound"),
        ({"group": None}, "group are absent"),
        ({"tc": np.float64(3)}, "got tc of shape ()"),
        ({"tc": arrays["tc"].astype(str)}, "got tc of shape"),
        ({"magpie": texts}, "got magpie of shape (60, 132) and type <U1"),
        ({"magpie": np.float64(3)}, "got magpie of shape ()"),
    ):
        kept = {name: array for name, array in {**arrays, **changed}.items() if array is not None}
        np.savez(source / "stand_in.npz", **kept)
        assert main([str(source), str(tmp_path / "out"), "--stand-in"]) == 2
        assert words in capsys.readouterr().err
    assert main([str(tmp_path / "empty"), str(tmp_path / "out"), "--stand-in"]) == 2
    assert "expected one .npz" in capsys.readouterr().err


@pytest.mark.parametrize("stand_in", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_bundle_trains_on_it(tmp_path, stand_in):
    source = (write_stand_in if stand_in else write_superconductivity)(tmp_path / "sc")
    assert main([str(source), str(tmp_path / "out"), *(["--stand-in"] if stand_in else [])]) == 0
    overlay = "superconductors" if stand_in else "superconductivity"
    table = train_once(tmp_path / "out", tmp_path / "run", overlay, batch_size=8)
    assert table[["fusion", "unimodal_properties", "unimodal_composition"]].notna().all(axis=None)


@pytest.mark.real_data
def test_the_real_stand_in(real_data, tmp_path):
    assert main([str(real_data / "superconductors"), str(tmp_path / "out"), "--stand-in"]) == 0
    datalist = load_datalist(tmp_path / "out" / "datalist.json")
    assert sum(len(cases) for cases in datalist.splits.values()) == 12440
    people = [{case.patient_id for case in cases} for cases in datalist.splits.values()]
    assert sum(map(len, people)) == len(set.union(*people)) == 3063
