"""One epoch of each stage of the bundle on a converted data set."""

from pathlib import Path
from typing import Any

import pandas as pd

BUNDLE = Path(__file__).parents[2] / "bundles" / "remd"


def train_once(dataset: Path, folder: Path, overlay: str, *more: str, **settings: Any) -> pd.DataFrame:
    """Train with `data/<overlay>.json` and further overlays; the table of predictions."""
    from monai.bundle import ConfigWorkflow

    workflow = ConfigWorkflow(
        [str(BUNDLE / name) for name in ("train.json", f"data/{overlay}.json", *more)],
        logging_file=False,
        dataset_dir=str(dataset),
        output_dir=str(folder),
        **{"pretrain_epochs": 1, "train_epochs": 1, "device": "cpu", "track": False, "cache_workers": 1, **settings},
    )
    workflow.initialize()
    workflow.run()
    workflow.finalize()
    return pd.read_csv(folder / "predictions.csv")
