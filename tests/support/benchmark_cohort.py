"""A small cohort of numbers, an overlay that trains on it in a second, and plans with both."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from medmd.benchmark import Plan, make_plan
from medmd.data import Case, Datalist, Header, InputSpec, TargetSpec, write_datalist

MODALITIES = {"left": 4, "right": 3}
_ENCODER = {"_target_": "medmd.networks.VectorEncoder", "hidden": [8], "out_features": 8, "standardize": True}
OVERLAY: dict[str, Any] = {
    "modalities": list(MODALITIES),
    "batch_size": 8,
    "learning_rate": 0.01,
    "preprocessing": [
        {
            "_target_": "medmd.transforms.PackInputsd",
            "keys": list(MODALITIES),
            "shapes": {name: [length] for name, length in MODALITIES.items()},
        }
    ],
    "augmentation": [],
    "regression_loss": {
        "_target_": "medmd.losses.SmapeR2Loss",
        "train_variance": "$@target_statistics['variance']",
        "variance": "train",
        "smape_weight": 0.0,
    },
    "network": {
        "_target_": "medmd.networks.MultimodalRegressor",
        "encoders": {name: {**_ENCODER, "in_features": length} for name, length in MODALITIES.items()},
    },
}
METHODS: list[dict[str, Any]] = [
    {"name": "uniform_sum", "overlays": ["uniform_sum", "no_pretraining"], "label": "core"},
    {"name": "remd", "overlays": ["sgm"], "label": "core"},
]


def write_cohort(folder: Path, *, patients: int = 24, seed: int = 0, missing: bool = True) -> Path:
    """A datalist of two eyes a patient whose target is a sum of both inputs' numbers and noise.

    The names of cases and patients hold the word canary.
    """
    random = np.random.RandomState(seed)
    cases = []
    for number in range(2 * patients):
        left, right = random.standard_normal(4), random.standard_normal(3)
        absent = missing and number % 7 == 3
        cases.append(
            Case(
                case_id=f"canary-c{number:03d}",
                patient_id=f"canary-p{number // 2:03d}",
                inputs={"left": left.round(4).tolist(), "right": None if absent else right.round(4).tolist()},
                target=round(float(-8 + 2 * left[0] + 1.5 * right[0] + 0.3 * random.standard_normal()), 3),
                laterality="RL"[number % 2],
                age=40.0 + number % 30,
                sex="FM"[number % 2],
            )
        )
    third = 2 * (patients // 4)
    header = Header(
        name="numbers",
        inputs={name: InputSpec(kind="vector", details={"length": length}) for name, length in MODALITIES.items()},
        target=TargetSpec(name="y", unit="dB", range=(-40.0, 20.0)),
        source="synthetic",
        converter="tests",
    )
    splits = {"training": cases[2 * third :], "validation": cases[:third], "testing": cases[third : 2 * third]}
    path = folder / "datalist.json"
    write_datalist(path, Datalist(header=header, splits=splits))
    return path


def write_overlay(folder: Path, name: str = "numbers", **changes: Any) -> str:
    """An overlay file for it; returns its path."""
    path = folder / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**OVERLAY, **changes} if name == "numbers" else changes))
    return str(path)


def plan_content(folder: Path, **changes: Any) -> dict[str, Any]:
    """What a plan file holds; data and overlay are written into `folder` when absent."""
    if not (folder / "data" / "datalist.json").exists():
        write_cohort(folder / "data")
    dataset = {
        "name": "numbers",
        "overlays": [write_overlay(folder)],
        "dataset_dir": str(folder / "data"),
        "epochs": 4,
        **changes.pop("dataset", {}),
    }
    return {"name": "trial", "seeds": 2, "datasets": [dataset], "methods": METHODS, **changes}


def small_plan(folder: Path, **changes: Any) -> Plan:
    """A plan on the cohort of numbers."""
    return make_plan(plan_content(folder, **changes))
