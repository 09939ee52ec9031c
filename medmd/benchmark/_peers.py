"""Cheap peers without a network: what a method should beat before anything is said of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from medmd.benchmark._cohort import Fold, fold_datalist, fold_of
from medmd.benchmark._compose import parser_of, preprocessing_key, put_in_place
from medmd.benchmark._ended import Ended
from medmd.benchmark._job import Job
from medmd.utils import MedmdError

if TYPE_CHECKING:
    from medmd.data import Case, Datalist

# An image or a volume as numbers: mean and SD of each channel, and means of so many equal parts along each axis.
_PARTS = 4


def fit_peer(job: Job, splits: Sequence[str]) -> Ended:
    """Fit a peer on the training cases of a fold and predict.

    `constant` is the mean of the training targets (of classes: their shares); `ridge` is ridge regression whose
    strength is chosen by leave-one-out; `gradient_boosting` is scikit-learn's `HistGradientBoostingRegressor` with its
    defaults, except that a leaf may hold a twentieth of the cases when that is less than 20.

    They see the vector inputs, of every image or volume the mean and SD of each channel and the means of 4 parts along
    each axis after preprocessing, and age and sex where the datalist has them. With `tabular_` before the name, they
    see vectors, age and sex alone. A missing number is filled with the training mean and marked for ridge, and left
    missing for boosting.

    Args:
        job: whose `method.peer` names it.
        splits: what to predict.

    Raises:
        MedmdError: there is no number to learn from, or the target is a list.
    """
    parser = parser_of(job)
    key = preprocessing_key(parser)
    modalities = list(parser.config["modalities"])
    datalist = fold_datalist(job)
    put_in_place(parser, datalist.path or job.datalist)
    fold = fold_of(job, parser, key)
    kind = datalist.header.target.kind
    if kind == "multi":
        msg = f"{job.dataset.name}: {job.method.peer} predicts one number or class, and the target is a list of them."
        raise MedmdError(msg)
    clocks = time.perf_counter(), time.process_time()
    tables = _tables(job, fold, datalist, modalities, ("training", *splits))
    columns = _predict(job, kind, tables, splits, _classes(datalist))
    seconds = {"wall": time.perf_counter() - clocks[0], "processor": time.process_time() - clocks[1]}
    return Ended(
        predictions=_predictions(datalist, tables, columns, splits),
        seconds={name: round(value, 3) for name, value in seconds.items()},
    )


def _classes(datalist: Datalist) -> int:
    return len(getattr(datalist.header.target, "class_names", ()) or ())


def _tables(
    job: Job, fold: Fold, datalist: Datalist, modalities: Sequence[str], splits: Sequence[str]
) -> dict[str, pd.DataFrame]:
    """By split, one row a case: `case_id`, `target`, and the numbers that the peer sees."""
    wanted = [name for name in modalities if _is_seen(job, datalist, name)]
    found = {}
    for split in splits:
        batches = fold.batches[split]()
        rows = pd.concat([_numbers(batch, modalities, wanted) for batch in batches], ignore_index=True)
        cases = {case.case_id: case for case in datalist.splits[split]}
        found[split] = rows.join(_person([cases[case_id] for case_id in rows["case_id"]]))
    return found


def _is_seen(job: Job, datalist: Datalist, name: str) -> bool:
    tabular = str(job.method.peer).startswith("tabular_")
    return not tabular or datalist.header.inputs[name].kind == "vector"


def _numbers(batch: Mapping[str, Any], modalities: Sequence[str], wanted: Sequence[str]) -> pd.DataFrame:
    """The numbers of each case of a batch; NaN where a modality is absent."""
    parts: dict[str, np.ndarray] = {}
    for name in wanted:
        values = _few(batch[name])
        values[~batch["present"][:, list(modalities).index(name)].numpy()] = np.nan
        parts |= {f"{name}_{position}": column for position, column in enumerate(values.T)}
    target = batch["target"].double().numpy()
    return pd.DataFrame({"case_id": list(batch["case_id"]), "target": target, **parts})


def _few(tensor: Tensor) -> np.ndarray:
    """A vector as it is; of an image or volume (B, channels, …) a handful of numbers."""
    if tensor.ndim == 2:
        return tensor.double().numpy().copy()
    flat = tensor.double().flatten(2)
    pool: Any = torch.nn.functional.adaptive_avg_pool2d if tensor.ndim == 4 else torch.nn.functional.adaptive_avg_pool3d
    parts = [flat.mean(2), flat.std(2)]
    for axis in range(tensor.ndim - 2):
        shape = [1] * (tensor.ndim - 2)
        shape[axis] = _PARTS
        parts.append(pool(tensor, shape).double().flatten(1))
    return torch.cat(parts, dim=1).numpy()


def _person(cases: Sequence[Case]) -> pd.DataFrame:
    """Age and sex, where any case tells them."""
    sexes = {"F": 0.0, "M": 1.0}
    columns = {
        "age": [np.nan if case.age is None else float(case.age) for case in cases],
        "sex": [sexes.get(case.sex or "", np.nan) for case in cases],
    }
    return pd.DataFrame(columns, index=range(len(cases)))


def _predict(
    job: Job, kind: str, tables: Mapping[str, pd.DataFrame], splits: Sequence[str], classes: int
) -> dict[str, dict[str, np.ndarray]]:
    """By split, the columns of predictions."""
    training = tables["training"]
    target = training["target"].to_numpy()
    if job.method.peer == "constant":
        return {split: _constant(kind, target, len(tables[split]), classes) for split in splits}
    names = [name for name in training.columns if name not in ("case_id", "target") and training[name].notna().any()]
    if not names:
        msg = f"{job.dataset.name}: {job.method.peer} has no number to learn from. Leave it out on this data set."
        raise MedmdError(msg)
    model = _model(str(job.method.peer), kind, job.seed, len(training))
    model.fit(training[names].to_numpy(), target.astype(int) if kind == "class" else target)
    return {split: _columns(model, tables[split][names].to_numpy(), kind, classes) for split in splits}


def _constant(kind: str, target: np.ndarray, count: int, classes: int) -> dict[str, np.ndarray]:
    if kind != "class":
        return {"fusion": np.full(count, target.mean())}
    shares = np.bincount(target.astype(int), minlength=classes) / len(target)
    return _of_classes(np.tile(shares, (count, 1)))


def _columns(model: Any, values: np.ndarray, kind: str, classes: int) -> dict[str, np.ndarray]:
    if kind != "class":
        return {"fusion": model.predict(values)}
    shares = np.zeros((len(values), classes))
    shares[:, model.classes_.astype(int)] = model.predict_proba(values)
    return _of_classes(shares)


def _of_classes(shares: np.ndarray) -> dict[str, np.ndarray]:
    each = {f"fusion_p{position}": column for position, column in enumerate(shares.T)}
    return {"fusion": shares.argmax(axis=1).astype(float), **each}


def _model(peer: str, kind: str, seed: int, count: int) -> Any:
    return _MODELS[peer.removeprefix("tabular_"), kind == "class"](seed, count)


def _ridge(_seed: int, _count: int) -> Any:
    from sklearn.linear_model import RidgeCV

    return _filled(RidgeCV(alphas=np.logspace(-2, 4, 25)))


def _logistic(_seed: int, _count: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return _filled(LogisticRegression(max_iter=1000))


def _filled(model: Any) -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(SimpleImputer(add_indicator=True), StandardScaler(), model)


def _boosting(seed: int, count: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(random_state=seed, min_samples_leaf=_leaf(count))


def _boosted_classes(seed: int, count: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(random_state=seed, min_samples_leaf=_leaf(count))


def _leaf(count: int) -> int:
    return max(2, min(20, count // 20))


_MODELS: dict[tuple[str, bool], Callable[[int, int], Any]] = {
    ("ridge", False): _ridge,
    ("ridge", True): _logistic,
    ("gradient_boosting", False): _boosting,
    ("gradient_boosting", True): _boosted_classes,
}


def _predictions(
    datalist: Datalist,
    tables: Mapping[str, pd.DataFrame],
    columns: Mapping[str, Mapping[str, np.ndarray]],
    splits: Sequence[str],
) -> pd.DataFrame:
    parts = []
    for split in splits:
        cases = {case.case_id: case for case in datalist.splits[split]}
        rows = [cases[case_id] for case_id in tables[split]["case_id"]]
        about = {
            "case_id": [case.case_id for case in rows],
            "patient_id": [case.patient_id for case in rows],
            "split": split,
            "laterality": [case.laterality or "" for case in rows],
            "target": [case.target for case in rows],
        }
        parts.append(pd.DataFrame({**about, **columns[split]}))
    return pd.concat(parts, ignore_index=True)
