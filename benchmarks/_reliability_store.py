"""What the MLflow store in a run's folder holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient

# Drawn at random for each run.
_OWN_TAG = "medmd.start"


@dataclass(frozen=True)
class Store:
    """The content of a store, without ids and times.

    Attributes:
        statuses: of every run in it, of all experiments.
        status: of the run that the folder names.
        parameters: of that run.
        tags: of that run.
        points: of that run, by metric the sorted (step, value) pairs, each pair once; values as text that reads back
            exactly, so that NaN equals NaN.
        repeated: how many points repeat one that is there.
    """

    statuses: tuple[str, ...]
    status: str
    parameters: dict[str, str]
    tags: dict[str, str]
    points: dict[str, list[tuple[int, str]]]
    repeated: int


def read_store(folder: Path) -> Store:
    """Read `mlruns.db` of a run's folder through MLflow's client."""
    from mlflow import MlflowClient

    from medmd.utils import read_json

    client = MlflowClient(tracking_uri=f"sqlite:///{(folder / 'mlruns.db').resolve()}")
    experiments = [each.experiment_id for each in client.search_experiments()]
    runs = client.search_runs(experiments)
    own = client.get_run(str(read_json(folder / "mlflow_run.json")["run_id"]))
    points = {name: _points(client, own.info.run_id, name) for name in own.data.metrics}
    once = {name: sorted(set(found)) for name, found in points.items()}
    return Store(
        statuses=tuple(run.info.status for run in runs),
        status=own.info.status,
        parameters=dict(own.data.params),
        tags={name: value for name, value in own.data.tags.items() if name != _OWN_TAG},
        points=once,
        repeated=sum(len(points[name]) - len(once[name]) for name in points),
    )


def _points(client: MlflowClient, run: str, name: str) -> list[tuple[int, str]]:
    return [(point.step, repr(float(point.value))) for point in client.get_metric_history(run, name)]
