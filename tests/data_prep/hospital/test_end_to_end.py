"""From a PACS export to predictions, through the programs that a user calls."""

from pathlib import Path

import pandas as pd
from clinical_dicom_export import default_eyes, write_pacs_export
from monai.bundle import ConfigParser, ConfigWorkflow

import bundles
from data_prep.hospital.__main__ import main
from medmd.cli import main as medmd
from medmd.data import load_datalist

BUNDLE = Path(next(iter(bundles.__path__))) / "remd"
SMALL = {"retina_band": 32, "oct_size": [8, 16, 16], "fundus_size": 32, "batch_size": 4}
SITE = "name: clinic\noct: {min_slices: 4}\nquality: {max_saturated_volume: 1.0}\nsplit: {validation_fraction: 0.2}\n"


def train(dataset, output):
    workflow = ConfigWorkflow(
        [str(BUNDLE / name) for name in ("train.json", "data/hospital.json", "presets/tiny.json")],
        logging_file=False,
        dataset_dir=str(dataset),
        output_dir=str(output),
        pretrain_epochs=1,
        train_epochs=1,
        device="cpu",
        track=False,
        **SMALL,
    )
    workflow.initialize()
    workflow.run()
    workflow.finalize()


def test_a_pacs_export_to_predictions(tmp_path, pool, capsys):
    write_pacs_export(tmp_path / "export", eyes=default_eyes(7), shape=(8, 40, 24))
    (tmp_path / "site.yaml").write_text(SITE)
    (tmp_path / "pseudonym.key").write_text("a key of at least 16 bytes")
    eyes, run, table = tmp_path / "eyes", tmp_path / "run", tmp_path / "predictions.csv"

    call = [str(tmp_path / "export"), str(eyes), "--config", str(tmp_path / "site.yaml")]
    assert main([*call, "--key-file", str(tmp_path / "pseudonym.key")]) == 0
    assert medmd(["check", str(eyes)]) == 0
    train(eyes, run)
    assert medmd(["predict", str(run), str(eyes / "datalist.json"), str(table)]) == 0

    found = pd.read_csv(table, dtype={"case_id": str})
    testing = load_datalist(eyes / "datalist.json").splits["testing"]
    assert found["case_id"].tolist() == [case.case_id for case in testing]
    assert found["md"].between(-40, 6).all()


def test_the_overlay_changes_sizes_only():
    base = ConfigParser.load_config_files([str(BUNDLE / "train.json")])
    overlay = ConfigParser.load_config_files([str(BUNDLE / "data" / "hospital.json")])

    assert set(overlay) - {"_desc_"} <= set(base)
    assert overlay["retina_band"] >= overlay["oct_size"][1]
