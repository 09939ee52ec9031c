"""Whole runs of the bundle in this process, on a small phantom; folders and login bear words that must not travel."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

BUNDLE = Path(__file__).parents[2] / "bundles" / "remd"
# In the folders of data and results and in the login: none may reach what is tracked or handed over.
CANARIES = ("mueller-hans", "schmidt-anna", "weber-login")
SHORT = {"device": "cpu", "pretrain_epochs": 2, "train_epochs": 2}


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 eyes, some without a modality."""
    from medmd.data import PhantomCohort

    folder = tmp_path_factory.mktemp(CANARIES[0]) / "eyes"
    PhantomCohort(40, 0, missing={"fundus": 0.2}).write(folder, contact_sheet=False)
    return folder


@pytest.fixture(scope="session")
def flow(phantom: Path) -> Callable[..., Any]:
    """Makes an initialised workflow of `train.json` and overlays: `flow(output_dir, *overlays, key=value)`."""
    from monai.bundle import ConfigWorkflow

    def make(output_dir: Path, *overlays: str, initialize: bool = True, **settings: Any) -> Any:
        workflow = ConfigWorkflow(
            config_file=[str(BUNDLE / name) for name in ("train.json", "presets/tiny.json", *overlays)],
            meta_file=str(BUNDLE / "metadata.json"),
            logging_file=False,
            workflow_type="train",
            **{**SHORT, "dataset_dir": str(phantom), "output_dir": str(output_dir), **settings},
        )
        if initialize:
            workflow.initialize()
        return workflow

    return make


@pytest.fixture(scope="session")
def finished(flow: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of all stages, tracked in its own database."""
    folder = tmp_path_factory.mktemp("results") / CANARIES[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
            patch.setenv(name, CANARIES[2])
        flow(folder).run()
    return folder
