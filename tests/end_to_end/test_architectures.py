"""The published systems that are networks of their own: each trained, stored and loaded again, in seconds."""

import numpy as np
import pandas as pd
import pytest

from medmd.utils import read_json
from medmd.workflows import Predictor, cases_to_predict

SMALL = {"network#encoders#oct#planes": [4, 8, 16, 16]}
SYSTEMS = {
    "eyemost": ("EvidentialRegressor", ("oct", "fundus"), {}),
    "eyemost_plus": ("EvidentialRegressor", ("oct", "fundus"), {}),
    "stage2024": ("CrossConvRegressor", ("oct", "fundus"), {**SMALL, "network#encoders#fundus#planes": [4, 8, 8, 16]}),
    "egvfi": ("MultimodalRegressor", ("oct",), {"network#encoders#oct#channels": [8, 8, 8, 8, 8]}),
    "sf3d": ("MultimodalRegressor", ("oct",), SMALL),
}


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """16 eyes, some without a modality."""
    from medmd.data import PhantomCohort

    folder = tmp_path_factory.mktemp("few") / "eyes"
    PhantomCohort(16, 1, missing={"fundus": 0.2}).write(folder, contact_sheet=False)
    return folder


@pytest.mark.parametrize("name", SYSTEMS)
def test_it_trains_and_predicts_from_its_folder(flow, few, tmp_path, name):
    kind, modalities, small = SYSTEMS[name]
    only = ["presets/oct_only.json"] if len(modalities) == 1 else []
    overlays = [*only, f"methods/{name}.json"]
    flow(tmp_path / "run", *overlays, dataset_dir=str(few), track=False, train_epochs=2, batch_size=4, **small).run()

    table = pd.read_csv(tmp_path / "run" / "predictions.csv")
    assert set(table) >= {"fusion", *(f"unimodal_{modality}" for modality in modalities)}
    # A system of one stage.
    assert not [column for column in table if column.startswith(("pretrain_", "late_"))]
    assert np.isfinite(table["fusion"]).all()
    assert table["fusion"].nunique() == len(table)
    history = pd.read_csv(tmp_path / "run" / "history.csv")
    assert set(history["stage"]) == {"train"}
    assert np.isfinite(history["value"]).all()
    assert read_json(tmp_path / "run" / "model" / "network.json")["_target_"] == f"medmd.networks.{kind}"

    predictor = Predictor(tmp_path / "run" / "model", batch_size=8)
    found = predictor.predict(cases_to_predict(few, predictor.inputs))
    rows = table[table["split"] == "testing"]
    assert list(found["case_id"]) == list(rows["case_id"])
    np.testing.assert_allclose(found["md"], rows["fusion"], rtol=0, atol=1e-5)


def test_stage_one_trains_the_locations_with_a_regression_loss(flow, few, tmp_path):
    workflow = flow(
        tmp_path / "run",
        "methods/eyemost.json",
        dataset_dir=str(few),
        track=False,
        pretraining=True,
        pretrain_epochs=1,
        train_epochs=1,
        batch_size=4,
    )
    network = workflow.parser.get_parsed_content("network_on_device")
    statistics = workflow.parser.get_parsed_content("target_statistics")
    assert float(network.target_mean) == pytest.approx(statistics["mean"], rel=1e-6)
    assert float(network.target_std) == pytest.approx(statistics["std"], rel=1e-6)
    workflow.run()
    table = pd.read_csv(tmp_path / "run" / "predictions.csv")
    assert np.isfinite(table["pretrain_oct"].dropna()).all()
    assert {"pretrain_oct", "pretrain_fundus", "late_average", "fusion"} <= set(table)
