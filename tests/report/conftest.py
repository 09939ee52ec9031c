"""A small cohort with the columns that a run writes, and a history in long form."""

import numpy as np
import pandas as pd
import pytest


def make_table(patients=60, seed=0):
    rng = np.random.default_rng(seed)
    rows = []
    for patient in range(patients):
        split = ("training", "testing", "testing", "validation")[patient % 4]
        damage = 2.0 - rng.gamma(1.1, 6.0)
        for side in "RL":
            true = max(-32.0, damage + rng.normal(0, 2))
            oct_, fundus = (-5 + (true + 5) * share + rng.normal(0, 2) for share in (0.8, 0.6))
            rows.append(
                {
                    "case_id": f"{len(rows):04d}",
                    "patient_id": f"P{patient:03d}",
                    "split": split,
                    "laterality": side,
                    "target": true + rng.normal(0, 1),
                    "pretrain_oct": oct_,
                    "pretrain_fundus": fundus if rng.random() > 0.2 else np.nan,
                    "late_average": (oct_ + fundus) / 2,
                    "fusion": (oct_ + true) / 2,
                    "reference_label_noise": true,
                }
            )
    return pd.DataFrame(rows)


def make_history(iterations=60, epochs=6):
    rng = np.random.default_rng(0)
    rows = []
    for it in range(1, iterations + 1):
        epoch = (it - 1) * epochs // iterations + 1
        numbers = {}
        for name in ("oct", "fundus"):
            numbers |= {("pretrain", f"{name}/loss"): 3 / epoch, ("pretrain", f"{name}/margin"): 0.4 * 0.99**it}
            numbers |= {
                ("pretrain", f"{name}/share_without_positive_{part}"): rng.random() for part in ("head", "tail")
            }
        sharpness = np.exp(rng.normal(-2, 0.5)) if it % 10 else -0.01
        numbers |= {("train", "gamma"): np.clip(10 * sharpness, 0.5, 4.5), ("train", "sharpness"): sharpness}
        numbers |= {("train", "cosine"): rng.uniform(-1, 1)}
        numbers |= {("train", f"loss{tail}"): 5 / epoch for tail in ("", "_fusion", "_oct", "_fundus")}
        if it % (iterations // epochs) == 0:
            numbers |= {("pretrain", f"{name}/val_mse"): 30 / epoch for name in ("oct", "fundus")}
            numbers |= {("train", f"val_{name}_mse"): 20 / epoch for name in ("fusion", "oct", "fundus")}
        rows += [(stage, epoch, it, name, float(value)) for (stage, name), value in numbers.items()]
    return pd.DataFrame(rows, columns=["stage", "epoch", "iteration", "name", "value"])


@pytest.fixture(scope="module")
def written_table():
    """The table for module-wide fixtures; tests must not change it."""
    return make_table()


@pytest.fixture(scope="module")
def written_history():
    """The history for module-wide fixtures; tests must not change it."""
    return make_history()


@pytest.fixture
def table():
    return make_table()


@pytest.fixture
def history():
    return make_history()
