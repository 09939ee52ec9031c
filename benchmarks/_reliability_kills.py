"""Kills at random and at chosen moments; each killed run is started again until it ends, then compared."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks._reliability_bench import Bench, last_lines, reached
from benchmarks._reliability_compare import Comparison, compare_runs
from benchmarks._reliability_places import COHORT, PLACES
from benchmarks._reliability_traps import Trap
from medmd.utils import read_json, sha256_file, write_json

Tell = Callable[[str], None]
_FIRST_SECOND = 1.0
# Every third run is first killed in its first second, which a moment drawn from the whole run seldom meets.
_EARLY = 3
# Imports that a plain start has and a child of the server has not.
_PLAIN_STARTS = 2
_COHORT_RUN = {
    "dataset_dir": None,
    "phantom": {"n": 24, "seed": 3},
    "stages": ["pretrain"],
    "pretrain_epochs": 1,
    "track": False,
}


@dataclass(frozen=True)
class Trial:
    """One run and what strikes it.

    Attributes:
        name: of the run.
        group: what is told together.
        strikes: one for each start: a place, or a moment as the share of an undisturbed run's processor time, or
            below 0 as minus the seconds of it after the start.
        plain: start new interpreters instead of children of the server.
    """

    name: str
    group: str
    strikes: tuple[Trap | float, ...]
    plain: bool = False


def random_moments(number: int, seed: int, most: int) -> Trial:
    """The `number`-th run with two to four random moments, at most `most` of them."""
    source = random.Random(f"{seed}-{number}")  # noqa: S311 - no secret
    strikes = [source.random() for _ in range(min(source.choice((2, 3, 4)), most))]
    if number % _EARLY == 0:
        strikes[0] = -_FIRST_SECOND * strikes[0]
    return Trial(f"moment-{number:02d}", "at random moments", tuple(strikes), plain=number < _PLAIN_STARTS)


def chosen_places(group: str) -> Trial:
    """One run that every place of a group strikes."""
    return Trial(f"place-{list(PLACES).index(group)}", group, PLACES[group])


def chain(seed: int) -> Trial:
    """One run that is killed in a validation, inside saving and at a random moment, for quick tests."""
    validation = PLACES["in validation"][0]
    saving = replace(PLACES["inside saving"][1], size=200_000)
    moment = random.Random(seed).uniform(0.2, 0.5)  # noqa: S311 - no secret
    return Trial("chain", "chain", (validation, saving, moment))


def run_moments(bench: Bench, count: int, seed: int, tell: Tell) -> list[dict[str, Any]]:
    """Runs with random moments until `count` of them have struck; a moment after a run's end does not."""
    results: list[dict[str, Any]] = []
    while (left := count - sum(len(result["kills"]) for result in results)) > 0:
        results.append(run_trial(bench, random_moments(len(results), seed, left), tell))
    return results


def run_trial(bench: Bench, trial: Trial, tell: Tell) -> dict[str, Any]:
    """Run what has no result yet and give the result.

    A run that ends as the undisturbed one is removed; the folder and log of any other are kept.
    """
    note = bench.work / "trials" / f"{trial.name}.json"
    if not note.exists():
        write_json(note, _run(bench, trial))
    result = dict(read_json(note))
    verdict = "equal" if result["equal"] else f"NOT EQUAL: {result['failure'] or result['differences'][0]}"
    tell(f"{trial.name}, killed {_told(result) or 'never'}: {verdict}")
    return result


def _told(result: dict[str, Any]) -> str:
    return "; ".join(kill["place"] or f"{kill['processor']:.1f} s, {kill['reached']}" for kill in result["kills"])


def _run(bench: Bench, trial: Trial) -> dict[str, Any]:
    overrides, folder = _overrides(bench, trial)
    expected, seconds = _undisturbed(bench, trial)
    seconds += bench.server.imports if trial.plain else 0.0
    if folder.exists():
        # Of a measurement that was itself stopped in this trial.
        shutil.rmtree(folder.parent)
    kills, failure = _strike(bench, trial, folder, seconds, overrides)
    found = Comparison() if failure else _compare(bench, trial, expected, folder)
    result = {
        "trial": trial.name,
        "group": trial.group,
        "plain": trial.plain,
        "kills": kills,
        "failure": failure,
        "equal": not (failure or found.differences),
        **asdict(found),
    }
    if result["equal"]:
        shutil.rmtree(folder.parent)
    return result


def _strike(
    bench: Bench, trial: Trial, folder: Path, seconds: float, overrides: dict[str, Any]
) -> tuple[list[dict[str, Any]], str | None]:
    """Start the run until it ends by itself; the kills that met it, and why it is no result."""
    kills: list[dict[str, Any]] = []
    for strike in (*trial.strikes, None):
        place = strike if isinstance(strike, Trap) else None
        moment = strike * (seconds if strike > 0 else -1) if isinstance(strike, float) else None
        traps = (place,) if place else ()
        end = bench.start(folder, traps=traps, kill_after=moment, plain=trial.plain, **overrides)
        if end.hung:
            return kills, "a start did not end"
        if end.code == 0:
            # A moment after the run's end kills nothing; a place that was not met is a mistake in its description.
            return kills, f"not met: {place.name}" if place else None
        if not end.was_killed:
            return kills, f"a start ended with code {end.code}: {last_lines(folder)}"
        seconds_of = {"seconds": round(end.seconds, 3), "processor": round(end.processor, 3)}
        kills.append({"place": place.name if place else "", **seconds_of, "reached": reached(folder)})
    return kills, "killed although nothing struck"


def _overrides(bench: Bench, trial: Trial) -> tuple[dict[str, Any], Path]:
    home = bench.work / "killed" / trial.name
    if trial.group != COHORT:
        return {}, home / "run"
    return {**_COHORT_RUN, "phantom_dir": home / "phantom"}, home / "run"


def _undisturbed(bench: Bench, trial: Trial) -> tuple[Path, float]:
    if trial.group != COHORT:
        return bench.undisturbed("undisturbed/run")
    return bench.undisturbed(
        "undisturbed-cohort/run", **_COHORT_RUN, phantom_dir=bench.work / "undisturbed-cohort" / "phantom"
    )


def _compare(bench: Bench, trial: Trial, expected: Path, folder: Path) -> Comparison:
    result = compare_runs(expected, folder, tracked=trial.group != COHORT)
    if trial.group == COHORT:
        ours, theirs = (_digests(each.with_name("phantom")) for each in (expected, folder))
        result.files += len(ours)
        result.differences += [
            f"phantom/{name}: differs" for name in sorted({*ours, *theirs}) if ours.get(name) != theirs.get(name)
        ]
    return result


def _digests(folder: Path) -> dict[str, str]:
    """Of all files, apart from what a kill in the middle of a write leaves."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".tmp-")]
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in sorted(files)}
