"""The search of a method's settings: seeded, on validation alone, recorded trial by trial."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medmd.benchmark._job import Job, TuningJob
from medmd.benchmark._objective import by_patient, losses, mean_loss
from medmd.utils import MedmdError, WriteError, read_json, write_json

if TYPE_CHECKING:
    import optuna

_LOGGER = logging.getLogger(__name__)
# One-sided 95 %: how many standard errors better than the configuration's own settings others have to be.
_CLEARLY = 1.645


def tune(job: TuningJob) -> dict[str, Any]:
    """Search the settings of one method on one fold of a data set, going on with what is recorded.

    The sampler is Optuna's TPE, seeded. What is recorded is told to it again in the same order, so that a search which
    was stopped asks for the same settings as one that was not. The first trial has the configuration's own settings.

    Others are chosen only where validation shows clearly that they are better: by 1.645 standard errors of the paired
    difference over patients. A validation list of few patients would otherwise choose by chance, the more so with every
    trial and every epoch that the best is taken of. The bound holds for each trial by itself and is not corrected for
    their number: of several trials that are no better, one passes more often than one time in twenty. When a setting of
    the configuration's own lies outside the space, the first trial is not the configuration's, and the best is chosen.

    Args:
        job: what to search.

    Returns:
        The record, as it stands in the folder `tuning`: `trials` (`settings`, `value`, `status`, `patients`, the sum of
        the cases' losses and their number for each, `processor` seconds), `chosen`, `rule`, `seed`, `budget`.

    Raises:
        MedmdError: what is recorded belongs to another search, or no trial came to its end.
    """
    path = job.first.place.tuning(*job.first.key[:3])
    record = _begun(job, path)
    study = _study(job)
    for number in range(job.tuning.trials):
        trial = study.ask()
        settings = {name: _suggest(trial, name, given) for name, given in space_of(job).items()}
        if number == len(record["trials"]):
            start = time.process_time()
            found = _try(job, settings)
            record["trials"].append({"settings": settings, **found, "processor": time.process_time() - start})
            record = _keep(path, record)
        _tell(study, trial, record["trials"][number], settings, path.name)
    record["chosen"] = _chosen(record["trials"], job)
    return _keep(path, record)


def _begun(job: TuningJob, path: Path) -> dict[str, Any]:
    """What is recorded of a search so far."""
    new = {**_about(job), "trials": [], "chosen": None}
    record = read_json(path) if path.is_file() else new
    _check_same(record, _about(job), path.name)
    if job.retry and record["trials"] and not _finished(record["trials"]):
        # The sampler learns nothing of trials that fail, so that it asks for the same settings again.
        record = new
        write_json(path, record)
    return dict(record)


def _keep(path: Path, record: dict[str, Any]) -> dict[str, Any]:
    """Write the record, unless another worker is further: one of a cluster goes on after Ctrl-C, and finds the same."""
    there = read_json(path) if path.is_file() else record
    if _progress(there) > _progress(record):
        return dict(there)
    write_json(path, record)
    return record


def _progress(record: Mapping[str, Any]) -> tuple[bool, int]:
    return record["chosen"] is not None, len(record["trials"])


def space_of(job: TuningJob) -> dict[str, Any]:
    """What is searched: the common settings, then the method's own."""
    return {**job.tuning.space, **job.first.method.space}


def _about(job: TuningJob) -> dict[str, Any]:
    first = job.first
    return {
        "format": 1,
        "dataset": first.dataset.name,
        "method": first.method.name,
        "fold": first.fold,
        "seed": job.tuning.seed,
        "budget": {"trials": job.tuning.trials, "epochs": first.dataset.epochs, "seeds": list(job.seeds)},
        "space": space_of(job),
        "objective": "validation",
        "rule": f"better than the first by {_CLEARLY} standard errors",
    }


def _check_same(record: Mapping[str, Any], about: Mapping[str, Any], where: str) -> None:
    differing = [name for name, value in about.items() if record.get(name) != value]
    if differing:
        msg = f"{where}: holds another search; these differ: {', '.join(differing)}. Choose another folder."
        raise MedmdError(msg)


def _study(job: TuningJob) -> optuna.Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="minimize", sampler=optuna.samplers.TPESampler(seed=job.tuning.seed))
    defaults = _defaults(job)
    if defaults:
        study.enqueue_trial(defaults)
    return study


def _defaults(job: TuningJob) -> dict[str, Any]:
    """The configuration's own values of what is searched, where they lie in the space."""
    from medmd.benchmark._compose import parser_of

    parser = parser_of(job.first)
    found = {}
    for name, given in space_of(job).items():
        try:
            value = parser[name]
        except (KeyError, IndexError, TypeError):
            continue
        if value in given["choices"] if "choices" in given else _lies_between(value, given):
            found[name] = value
    return found


def _lies_between(value: Any, given: Mapping[str, Any]) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and given["low"] <= value <= given["high"]


def _suggest(trial: optuna.Trial, name: str, given: Mapping[str, Any]) -> Any:
    if "choices" in given:
        return trial.suggest_categorical(name, given["choices"])
    low, high, log = given["low"], given["high"], given["log"]
    if isinstance(low, int) and isinstance(high, int):
        return trial.suggest_int(name, low, high, log=log)
    return trial.suggest_float(name, low, high, log=log)


def _try(job: TuningJob, settings: Mapping[str, Any]) -> dict[str, Any]:
    from medmd.benchmark._worker import fit, told

    values, tables = [], []
    for seed in job.seeds:
        run: Job = replace(job.first, seed=seed, settings=dict(settings))
        try:
            # The test split is not even prepared.
            found = fit(run, ("validation",)).predictions
            tables.append(losses(found, job.first.method.column))
            values.append(mean_loss(tables[-1]))
        except WriteError:
            raise
        except Exception as error:  # noqa: BLE001 - settings may make a training diverge in any way
            return {"value": None, "status": "failed", "error": told(error)}
    value = float(np.mean(values))
    if not np.isfinite(value):
        return {"value": None, "status": "failed"}
    return {"value": value, "status": "finished", "patients": by_patient(tables).tolist()}


def _tell(study: Any, trial: Any, recorded: Mapping[str, Any], settings: Mapping[str, Any], where: str) -> None:
    import optuna

    if recorded["settings"] != settings:
        msg = (
            f"{where}: trial {trial.number} is recorded with other settings than the sampler asks for now. Another "
            "version of Optuna has begun this search: go on with that one, or delete the file to search anew."
        )
        raise MedmdError(msg)
    if recorded["status"] == "finished":
        study.tell(trial, recorded["value"])
    else:
        study.tell(trial, state=optuna.trial.TrialState.FAIL)


def _chosen(trials: list[dict[str, Any]], job: TuningJob) -> dict[str, Any]:
    finished = _finished(trials)
    if not finished:
        error = trials[0].get("error") or {"type": "ValueError", "message": "it predicted no number on validation"}
        path = job.first.place.tuning(*job.first.key[:3]).relative_to(job.first.place.root).as_posix()
        msg = (
            f"none of {len(trials)} trials came to its end ({path}; --retry-failed repeats them). The first: "
            f"{error['type']}: {error['message']}"
        )
        raise MedmdError(msg)
    is_own = _defaults(job).keys() == space_of(job).keys() and trials[0] in finished
    own = trials[0] if is_own else None
    better = finished if own is None else [trial for trial in finished if _is_clearly_better(trial, own)] or [own]
    return dict(min(better, key=lambda trial: trial["value"])["settings"])


def _finished(trials: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [trial for trial in trials if trial["status"] == "finished"]


def _is_clearly_better(trial: Mapping[str, Any], own: Mapping[str, Any]) -> bool:
    """Whether the paired difference lies below 0 by enough standard errors, those of a ratio over patients."""
    ours, theirs = np.asarray(trial["patients"]), np.asarray(own["patients"])
    if ours.shape != theirs.shape or len(ours) < 2:
        return False
    difference, count = ours[:, 0] - theirs[:, 0], theirs[:, 1]
    mean = difference.sum() / count.sum()
    spread = np.sum((difference - mean * count) ** 2) * len(count) / (len(count) - 1)
    return bool(mean < -_CLEARLY * np.sqrt(spread) / count.sum())
