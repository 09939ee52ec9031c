from pathlib import Path
from typing import Any

import pytest
from benchmark_work import noisy, write_work

from medmd.benchmark import Runs, load_runs
from medmd.data import PhantomCohort
from medmd.utils import read_json, write_json

# A benchmark as a plan of one's own would have it: names differ from those of the paper's rows, overlays do not.
PLAIN = "methods/no_pretraining"
METHODS: dict[str, dict[str, Any]] = {
    "alone": {"overlays": ["methods/uniform_sum", "methods/contrastive_weight_0"], "stage_one": 1.0},
    "joint": {"overlays": ["methods/joint_loss", PLAIN]},
    "mmpareto": {"overlays": ["methods/mmpareto", PLAIN]},
    "control": {"overlays": ["methods/uniform_sum", PLAIN]},
    "am_sum": {"overlays": ["methods/uniform_sum"]},
    "am_pareto": {"overlays": ["methods/mmpareto"]},
    "full": {"overlays": ["methods/sgm"]},
    "conr": {"overlays": ["methods/uniform_sum", "methods/conr"]},
    "gamma2": {"overlays": ["methods/sgm"], "overrides": {"balancer#gamma_base": 2.0}},
    "gamma5": {"overlays": ["methods/sgm"], "overrides": {"balancer#gamma_base": 5.0}},
    "mean": {"peer": "constant", "label": "peer"},
}
SPREADS = {
    "joint": 2.5,
    "mmpareto": 2.2,
    "control": 1.8,
    "am_sum": 1.7,
    "am_pareto": 2.1,
    "full": 1.0,
    "conr": 1.9,
    "gamma2": 1.1,
    "gamma5": 1.05,
}


def write(root: Path, **options: Any) -> Path:
    columns: dict[str, Any] = {name: {"fusion": noisy(spread)} for name, spread in SPREADS.items()}
    columns["full"] |= {"pretrain_oct": noisy(3.0), "pretrain_fundus": noisy(2.0)}
    columns["conr"] |= {"pretrain_oct": noisy(3.2), "pretrain_fundus": noisy(2.1)}
    columns["alone"] = {"pretrain_oct": noisy(3.1), "pretrain_fundus": noisy(2.0), "late_average": noisy(1.9)}
    columns["mean"] = {"fusion": lambda target, _: 0 * target - 6.0}
    write_work(root, columns, **{"patients": 60, "datasets": ("grape",), **options})
    plan = read_json(root / "plan.json")
    for method in plan["methods"]:
        method |= METHODS[method["name"]]
    write_json(root / "plan.json", plan)
    return root


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("reproduced") / "work")


@pytest.fixture
def runs(work: Path) -> Runs:
    return load_runs(work)


@pytest.fixture(scope="session")
def eyes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("eyes")
    PhantomCohort(40, 0).write(folder, contact_sheet=False)
    return folder
