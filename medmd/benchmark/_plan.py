"""What a benchmark compares, as plain records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

LABELS = ("core", "default", "published", "peer", "reference")
PEERS = ("constant", "ridge", "gradient_boosting", "tabular_ridge", "tabular_gradient_boosting")
STAGE_ONE = 1 / 3


@dataclass(frozen=True, kw_only=True)
class DatasetPlan:
    """A data set and for how long networks are trained on it.

    Attributes:
        name: of its folder and rows.
        overlays: names in the bundle, such as `data/grape`, or files.
        dataset_dir: folder of its datalist, or None for a phantom or a folder named at the start.
        phantom: settings of a phantom cohort, or None.
        folds: by patient, over all cases of the datalist; None keeps its own split.
        epochs: of a whole run, both stages.
        stage_one: share of them that stage 1 gets.
        complete: keep cases only that have every input of the datalist, so that all rows see the same cases.
        overrides: settings of the bundle, `a#b` for nested ones.
        title: for readers.
    """

    name: str
    overlays: tuple[str, ...] = ()
    dataset_dir: str | None = None
    phantom: Mapping[str, Any] | None = None
    folds: int | None = None
    epochs: int
    stage_one: float = STAGE_ONE
    complete: bool = False
    overrides: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""

    @property
    def runs(self) -> range:
        """Numbers of its folds."""
        return range(self.folds or 1)


@dataclass(frozen=True, kw_only=True)
class MethodPlan:
    """A method that is run, or a row that reads a column of another one's runs.

    Attributes:
        name: of its folder and row; with a `*` when `column` has one.
        overlays: names in `methods/` of the bundle, later ones laid over earlier ones, or files.
        peer: a method without a network, one of `PEERS`, in the place of overlays.
        of: whose runs this row reads; nothing is run for it.
        column: of the table of predictions.
        blend: of a row that reads another's runs: columns whose mean it is, in the place of `column`.
        weights: of that mean, `equal` or from the `validation` cases of each run.
        shrinkage: draws weights from validation to equal ones.
        ensemble: of a row that reads another's runs: the mean over all seeds.
        label: `core` methods are tuned; the others keep their `default` or `published` settings; `peer` and
            `reference` are for comparison.
        seeds: in the place of the plan's.
        overrides: settings of the bundle.
        space: settings that are searched besides the common ones.
        stage_one: share of the epochs for stage 1, in the place of the data set's; 1 trains no fusion.
        datasets: on which data sets; None for all.
        title: for readers.
    """

    name: str
    overlays: tuple[str, ...] = ()
    peer: str | None = None
    of: str | None = None
    column: str = "fusion"
    blend: tuple[str, ...] = ()
    weights: str = "equal"
    shrinkage: float = 0.0
    ensemble: bool = False
    label: str = "default"
    seeds: tuple[int, ...] | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    space: Mapping[str, Any] = field(default_factory=dict)
    stage_one: float | None = None
    datasets: tuple[str, ...] | None = None
    title: str = ""

    def is_on(self, dataset: str) -> bool:
        """Whether it is compared on this data set."""
        return self.datasets is None or dataset in self.datasets


@dataclass(frozen=True, kw_only=True)
class TuningPlan:
    """The search that every core method gets.

    Attributes:
        trials: how many, the same for each method.
        space: setting -> `{low, high, log}` or `{choices}`, common to all core methods.
        seeds: how many of the plan's first seeds a trial is the mean of.
        seed: of the sampler.
        datasets: where methods are tuned; None for all.
    """

    trials: int
    space: Mapping[str, Any]
    seeds: int = 1
    seed: int = 0
    datasets: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a benchmark may take.

    Attributes:
        threads: of PyTorch in each process.
        remember_mib: memory of a process for training batches that several methods share.
        hours: no run is begun later than this; None for no such bound.
    """

    threads: int = 1
    remember_mib: int = 256
    hours: float | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a benchmark compares: methods on data sets over seeds and folds.

    Attributes:
        name: of the MLflow experiment.
        seeds: of every method that names no own ones.
        datasets: where.
        methods: what, in the order of the tables.
        tuning: the search of core methods, or None for none.
        limits: what it may take.
    """

    name: str
    seeds: tuple[int, ...]
    datasets: tuple[DatasetPlan, ...]
    methods: tuple[MethodPlan, ...]
    tuning: TuningPlan | None = None
    limits: Limits = field(default_factory=Limits)

    @property
    def trained(self) -> list[MethodPlan]:
        """The methods that are run themselves."""
        return [method for method in self.methods if method.of is None]

    def pairs(self) -> Iterator[tuple[DatasetPlan, MethodPlan]]:
        """Every data set with every method that is run on it."""
        for dataset in self.datasets:
            for method in self.trained:
                if method.is_on(dataset.name):
                    yield dataset, method

    def seeds_of(self, method: MethodPlan) -> tuple[int, ...]:
        """The seeds of a method."""
        return self.seeds if method.seeds is None else method.seeds

    def is_tuned(self, dataset: DatasetPlan, method: MethodPlan) -> bool:
        """Whether the settings of a method are searched on a data set."""
        if self.tuning is None or method.label != "core" or method.peer is not None:
            return False
        return self.tuning.datasets is None or dataset.name in self.tuning.datasets

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as `plan.json` holds it: without the places of data sets, which differ between machines."""
        found = asdict(self)
        for dataset in found["datasets"]:
            del dataset["dataset_dir"]
        return {"format": 1, **found}
