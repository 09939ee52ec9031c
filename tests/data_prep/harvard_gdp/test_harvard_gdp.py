from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from harvard_release import MD, SIZE, thickness, write_sample
from monai.bundle import ConfigWorkflow
from PIL import Image

import bundles
from data_prep._split import SplitOptions
from data_prep._thickness import decode, read_map
from data_prep.harvard_gdp import Options, convert
from data_prep.harvard_gdp.__main__ import main
from medmd.cli import main as medmd
from medmd.data import check_datalist, load_datalist
from medmd.transforms import LoadPhotograph
from medmd.utils import read_json

BUNDLE = Path(next(iter(bundles.__path__))) / "remd"


def cases_of(out):
    return {case.case_id: case for _, case in load_datalist(out / "datalist.json").cases()}


def test_maps_labels_and_people(gdp, tmp_path):
    out = tmp_path / "out"
    report = convert(gdp, out)
    cases = cases_of(out)
    assert len(cases) == report.usable == 12
    assert not report.faulty
    for number in range(1, 13):
        case = cases[f"harvard_gdp-{number:04d}"]
        assert list(case.inputs) == ["rnfl_map"]
        np.testing.assert_allclose(decode(read_map(out / case.inputs["rnfl_map"])), thickness(number), atol=0.006)
        assert (case.target, case.age, case.sex) == (MD[number], 40.5 + number, "FM"[number % 2])
    content = read_json(out / "report.json")
    # The release does not explain its codes of race: they stay codes.
    assert content["race"] == {"code 0": 4, "code 1": 4, "code 2": 4}
    assert content["ethnicity"] == {"hispanic": 6, "non-hispanic": 6}
    assert content["source"]["split"] == "made by the converter"
    datalist = load_datalist(out / "datalist.json")
    assert set(datalist.splits) == {"training", "validation", "testing"}
    assert check_datalist(out / "datalist.json").summary["surrogate_patients"] == 12


def test_the_lab_s_own_parts_are_kept(tmp_path):
    for part, numbers in (("train", range(1, 6)), ("test", range(6, 9))):
        for number in numbers:
            write_sample(tmp_path / "gdp" / part, number, oct_volume=False)
    convert(tmp_path / "gdp", tmp_path / "out")
    found = load_datalist(tmp_path / "out" / "datalist.json").splits
    assert {split: len(cases) for split, cases in found.items()} == {"training": 5, "testing": 3}


def test_a_map_as_one_row_of_numbers_is_the_same_map(tmp_path):
    source = tmp_path / "gdp"
    for number in (1, 2):
        write_sample(source, number, oct_volume=False, rnflt=thickness(1).ravel() if number == 2 else thickness(1))
    write_sample(source, 3, oct_volume=False, rnflt=np.arange(50.0))
    convert(source, tmp_path / "out", options=Options(split=SplitOptions(unsplit=True)))
    content = read_json(tmp_path / "out" / "report.json")
    assert content["identical_images"] == [["harvard_gdp-0001", "harvard_gdp-0002"]]
    assert content["samples"]["quarantined"] == {"map_shape": {"count": 1, "items": ["harvard_gdp-0003"]}}


@pytest.mark.parametrize("bad", [np.nan, np.inf, -40.0, 4000.0])
def test_pixels_without_a_measurement_are_the_darkest_and_counted(tmp_path, bad):
    values = thickness(1)
    values[:5] = bad
    write_sample(tmp_path / "gdp", 1, oct_volume=False, rnflt=values)
    convert(tmp_path / "gdp", tmp_path / "out", options=Options(split=SplitOptions(unsplit=True)))
    assert read_json(tmp_path / "out" / "report.json")["map_pixels"]["invalid"] == 5 * SIZE
    path = tmp_path / "out" / "rnfl_map" / "harvard_gdp-0001.png"
    with Image.open(path) as file:
        assert file.mode.startswith("I;16") or file.mode == "I"
    assert (LoadPhotograph()(path)[:, :5] == 0).all()


def test_the_bundle_trains_on_it_and_predicts(gdp, tmp_path):
    dataset, run = tmp_path / "eyes", tmp_path / "run"
    assert main([str(gdp), str(dataset), "--validation-fraction", "0.2", "--test-fraction", "0.2"]) == 0
    assert medmd(["check", str(dataset)]) == 0
    workflow = ConfigWorkflow(
        [str(BUNDLE / name) for name in ("train.json", "data/harvard_gdp.json")],
        logging_file=False,
        dataset_dir=str(dataset),
        output_dir=str(run),
        pretrain_epochs=1,
        train_epochs=1,
        device="cpu",
        track=False,
        map_size=32,
        batch_size=4,
    )
    workflow.initialize()
    workflow.run()
    workflow.finalize()
    table = pd.read_csv(run / "predictions.csv")
    assert table[["fusion", "unimodal_rnfl_map"]].notna().all(axis=None)
    assert medmd(["predict", str(run), str(dataset / "datalist.json"), str(tmp_path / "p.csv")]) == 0
    assert pd.read_csv(tmp_path / "p.csv")["md"].nunique() > 1
