import numpy as np
import pytest
from releases import write_ct_slices
from training import train_once

from data_prep.ct_slices.__main__ import main
from medmd.cli import main as medmd
from medmd.data import load_datalist


def test_two_histograms_a_slice_and_whole_patients(tmp_path, capsys):
    source, out = write_ct_slices(tmp_path / "ct"), tmp_path / "out"
    assert main([str(source), str(out)]) == 0
    assert "patients: 10, split by patient" in capsys.readouterr().out
    table = np.loadtxt(source / "slice_localization_data.csv", delimiter=",", skiprows=1)
    datalist = load_datalist(out / "datalist.json")
    for _, case in datalist.cases():
        row = table[int(case.case_id[3:])]
        np.testing.assert_allclose(case.inputs["bone"], row[1:241], rtol=1e-6)
        np.testing.assert_allclose(case.inputs["air"], row[241:385], rtol=1e-6)
        assert case.patient_id == f"ct-{int(row[0]):03d}"
        assert case.target == pytest.approx(row[-1], abs=1e-4)
    people = [{case.patient_id for case in cases} for cases in datalist.splits.values()]
    assert sum(map(len, people)) == 10
    assert medmd(["check", str(out)]) == 0


def test_a_limit_a_wrong_place_and_a_wrong_table(tmp_path, capsys):
    source = write_ct_slices(tmp_path / "ct")
    path = source / "slice_localization_data.csv"
    lines = path.read_text().splitlines()
    lines[1] = ",".join([*lines[1].split(",")[:-1], "181"])
    path.write_text("\n".join(lines))
    assert main([str(source), str(tmp_path / "out"), "--limit", "40"]) == 3
    assert "1  the target is outside its possible range (ct-00000)" in (text := capsys.readouterr().out)
    assert "40  not asked for: beyond --limit" in text
    path.write_text("\n".join(line.rpartition(",")[0] for line in lines))
    assert main([str(source), str(tmp_path / "other")]) == 2
    assert "1 of which are absent: reference" in capsys.readouterr().err
    assert main([str(source), str(tmp_path / "other"), "--limit", "0"]) == 2
    assert main([str(tmp_path / "nothing"), str(tmp_path / "other")]) == 2


def test_slices_whose_patient_is_not_told_are_set_aside(tmp_path, capsys):
    source = write_ct_slices(tmp_path / "ct")
    path = source / "slice_localization_data.csv"
    lines = path.read_text().splitlines()
    # Cut to whole numbers, 1.2 and 1.7 would be one patient.
    for place, word in enumerate(("nan", "inf", "1.2", "1.7", "-1", "1e17"), start=1):
        lines[place] = ",".join([word, *lines[place].split(",")[1:]])
    path.write_text("\n".join(lines))
    assert main([str(source), str(tmp_path / "out")]) == 3
    said = capsys.readouterr().out
    assert "6  the patientId is no whole number" in said
    assert "patients: 10, split by patient" in said
    assert sum(1 for _ in load_datalist(tmp_path / "out" / "datalist.json").cases()) == 74


def test_the_bundle_trains_on_it(tmp_path):
    source = write_ct_slices(tmp_path / "ct")
    assert main([str(source), str(tmp_path / "out")]) == 0
    table = train_once(tmp_path / "out", tmp_path / "run", "ct_slices", batch_size=8)
    assert table[["fusion", "unimodal_bone", "unimodal_air"]].notna().all(axis=None)


@pytest.mark.real_data
def test_the_first_rows_of_the_release(real_data, tmp_path):
    arguments = ["--test-fraction", "0", "--validation-fraction", "0.4"]
    assert main([str(real_data / "ct_slices"), str(tmp_path / "out"), *arguments]) == 0
    datalist = load_datalist(tmp_path / "out" / "datalist.json")
    assert sum(len(cases) for cases in datalist.splits.values()) == 682
    values = np.array([case.inputs["bone"] for _, case in datalist.cases()])
    assert values.min() == -0.25
    assert values.shape == (682, 240)
