"""The GRAPE study on a small synthetic release: what is compared is composed, run, resumed and reported."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from monai.transforms import Compose, RandFlipd, RandGaussianNoised

from benchmarks import grape
from benchmarks._grape_data import Remembered, Reseeded, fold_cases
from benchmarks._grape_runs import TRAININGS, configuration, summarise
from benchmarks._grape_table import check_identity, pooled_table, read_runs
from medmd.data import load_datalist
from medmd.metrics import regression_metrics
from medmd.utils import MedmdError

ONLY = ["unimodal", "uniform_sum", "stage1", "remd"]
EPOCHS, FOLDS = 3, 3


def call(data, work, *more, epochs=EPOCHS, only=ONLY):
    sizes = ["--epochs", str(epochs), "--folds", str(FOLDS), "--seeds", "1", "--replicates", "50"]
    return grape.main([str(data), "--work", str(work), *sizes, "--only", *only, *map(str, more)])


def study_of(data, work, only=ONLY):
    return grape.Study(data=str(data), work=str(work), epochs=EPOCHS, folds=FOLDS, seeds=1, trainings=tuple(only))


@pytest.fixture(scope="module")
def finished(grape_like, tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    assert call(grape_like, folder / "work", "--output", folder / "grape") == 0
    return folder


@pytest.fixture(scope="module")
def results(finished):
    return json.loads((finished / "grape.json").read_text())


def test_report_has_its_rows(finished, results):
    expected = ["constant", "ridge", "fundus", "rnfl", "late_average", "uniform_sum", "remd"]
    assert list(results["rows"]) == expected
    text = (finished / "grape.md").read_text()
    for row in results["rows"].values():
        assert f"| {row['title']} |" in text
        for key in ("r2", "rmse", "mae"):
            ends = row["metrics"][key]
            assert ends["low"] <= ends["estimate"] <= ends["high"]
            assert f"{ends['estimate']:.3f}" in text
    assert set(results["rows"]["remd"]["difference"]) == {"r2", "rmse", "mae"}
    assert results["rows"]["uniform_sum"]["difference"] == {}
    assert (finished / "grape.png").read_bytes()[:4] == b"\x89PNG"
    assert results["eyes"] == 59
    assert results["subjects"] == 30


def test_numbers_are_those_of_the_pooled_table(grape_like, finished, results):
    folds = fold_cases(load_datalist(grape_like / "datalist.json"), FOLDS)
    table = pooled_table(read_runs(finished / "work"), folds)
    assert table["case_id"].is_unique
    assert len(table) == 59
    variance = np.var(table["target"])
    for name, row in results["rows"].items():
        found = regression_metrics(table["target"], table[name], on_undefined="ignore")
        assert row["metrics"]["r2"]["estimate"] == pytest.approx(found["r2"])
        assert found["mse"] / (1 - found["r2"]) == pytest.approx(variance, rel=1e-9)
        assert row["metrics"]["rmse"]["estimate"] ** 2 == pytest.approx(variance * (1 - found["r2"]))
    np.testing.assert_allclose(table["late_average"], (table["fundus"] + table["rnfl"]) / 2)
    difference = results["rows"]["remd"]["difference"]["mae"]["estimate"]
    errors = table[["remd", "uniform_sum"]].sub(table["target"], axis=0).abs().mean()
    assert difference == pytest.approx(errors["remd"] - errors["uniform_sum"])


def test_a_wrong_identity_is_refused():
    table = pd.DataFrame({"target": [1.0, 2.0, 4.0], "fine": [1.0, 2.5, 3.0]})
    check_identity(table, ["fine"])
    with pytest.raises(ValueError, match="variance"):
        check_identity(table.assign(gone=[1.0, np.nan, 3.0]), ["gone"])


def test_references_see_no_test_eye(grape_like, finished):
    folds = fold_cases(load_datalist(grape_like / "datalist.json"), FOLDS)
    table = pooled_table(read_runs(finished / "work"), folds)
    for number, fold in enumerate(folds):
        mean = np.mean([case.target for part in ("training", "validation") for case in fold[part]])
        assert table.loc[table["fold"] == number, "constant"].to_numpy() == pytest.approx(mean)


def test_every_row_takes_as_many_steps(results):
    steps = {name: row["cost"]["steps"] for name, row in results["rows"].items() if row["cost"]}
    assert len(set(steps.values())) == 1, steps
    assert results["rows"]["remd"]["cost"]["logs"]["gamma"] > 0
    assert 0 <= results["rows"]["remd"]["cost"]["logs"]["conflict"] <= 1


def test_stage_two_starts_from_stage_one(finished):
    first = torch.load(finished / "work" / "weights" / "stage1-fold0-seed0.pt", weights_only=True)
    plain = torch.load(finished / "work" / "weights" / "unimodal-fold0-seed0.pt", weights_only=True)
    assert set(first) == set(plain)
    name = "encoders.rnfl.layers.0.0.weight"
    assert not torch.equal(first[name], plain[name])


def test_resuming_skips_what_is_done_and_repeats_what_is_not(grape_like, finished, tmp_path):
    work = finished / "work"
    assert grape.execute(study_of(grape_like, work), jobs=1) == 0
    path = work / "runs" / "remd-fold1-seed0.json"
    before, others = json.loads(path.read_text()), {p: p.stat().st_mtime_ns for p in path.parent.iterdir() if p != path}
    path.unlink()
    with pytest.raises(MedmdError, match="not complete"):
        pooled_table(read_runs(work), fold_cases(load_datalist(grape_like / "datalist.json"), FOLDS))
    assert grape.execute(study_of(grape_like, work), jobs=1) == 1
    after = json.loads(path.read_text())
    assert {**after, "seconds": None} == {**before, "seconds": None}
    assert {p: p.stat().st_mtime_ns for p in others} == others


def test_another_study_in_the_same_folder_is_refused(grape_like, finished, capsys):
    assert call(grape_like, finished / "work", epochs=4) == 2
    assert "epochs" in capsys.readouterr().err


def test_a_training_without_its_stage_one_is_refused(grape_like, tmp_path, capsys):
    assert call(grape_like, tmp_path, only=["remd"]) == 2
    assert "stage1" in capsys.readouterr().err


def test_folds_are_by_subject_and_complete(grape_like):
    datalist = load_datalist(grape_like / "datalist.json")
    folds = fold_cases(datalist, FOLDS)
    tested = [case.case_id for fold in folds for case in fold["testing"]]
    assert len(tested) == len(set(tested)) == 59
    for fold in folds:
        subjects = [{case.patient_id for case in cases} for cases in fold.values()]
        assert not set.intersection(*map(set, subjects[:2]))
        assert not subjects[2] & (subjects[0] | subjects[1])
    with pytest.raises(MedmdError, match="at least 3"):
        fold_cases(datalist, 2)


def test_total_epochs_are_kept_by_both_stages():
    for total in (3, 24, 27, 40, 60):
        staged = TRAININGS["stage1"].epochs(total) + TRAININGS["remd"].epochs(total)
        assert staged == TRAININGS["uniform_sum"].epochs(total) == total


def test_seeding_in_place_gives_the_states_of_monai():
    def transforms():
        return [RandFlipd("x", prob=0.5, spatial_axis=0), RandGaussianNoised("x", prob=0.9)]

    ours, theirs = Reseeded(transforms()), Compose(transforms())
    for seed in (0, 1, 2**31 - 1, 1):
        drawn = [
            pipeline.set_random_state(seed=seed)({"x": torch.arange(12.0).reshape(1, 3, 4)})
            for pipeline in (ours, theirs)
        ]
        assert torch.equal(*(torch.as_tensor(item["x"]) for item in drawn))


def test_batches_are_prepared_once_an_epoch():
    class Loader:
        def __init__(self):
            self.sampler = type("Sampler", (), {"epoch": 1})()
            self.made = 0

        def __len__(self):
            return 2

        def __iter__(self):
            self.made += 1
            return iter([self.sampler.epoch * 10, self.sampler.epoch * 10 + 1])

    first, kept = Loader(), {}
    assert [*Remembered(first, kept)] == [10, 11]
    first.sampler.epoch = 2
    assert [*Remembered(first, kept)] == [20, 21]
    second = Loader()
    shared = Remembered(second, kept)
    assert [*shared] == [10, 11]
    assert (first.made, second.made, len(shared)) == (2, 0, 2)


def test_gammas_at_a_bound_count_as_clipped():
    values = {"gamma": [0.5, 1.5, 4.5, 4.5], "conflict": [0.0, 1.0, 0.0, 0.0]}
    rows = [("train", name, value) for name, column in values.items() for value in column]
    history = pd.DataFrame([*rows, ("pretrain", "gamma", 9.0)], columns=["stage", "name", "value"])
    found = summarise(history, "train")
    assert found == {"gamma": 2.75, "conflict": 0.25, "clipped_low": 0.25, "clipped_high": 0.5}


def test_the_bounds_that_count_as_clipped_are_the_method_s():
    balancer = configuration(("sgm",)).get_parsed_content("balancer")
    assert (balancer.gamma_base, tuple(balancer.ratio_clip)) == (1.5, (1 / 3, 3.0))


def test_overlays_change_what_their_name_says():
    assert configuration(("uniform_sum", "no_pretraining")).config["pretraining"] is False
    off = configuration(("sgm", "contrastive_weight_0"))
    assert off.config["pretrain"]["trainer"]["contrastive_weight"] == 0
    assert off.config["pretrain"]["trainer"]["_target_"] == "medmd.engines.ContrastiveTrainer"
    assert off.config["train"] == configuration(("sgm",)).config["train"]
