"""What a cohort holds, in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from medmd.data._groups import known_values
from medmd.data._records import Case, Datalist, TargetSpec
from medmd.data._write import count_cases

_BINS = 24
_STEPS = (1, 2, 2.5, 5, 10)


def summarise(datalist: Datalist) -> dict[str, Any]:
    """Counts, laterality, age and the target's histogram, as JSON values."""
    cases = [case for _, case in datalist.cases()]
    counts = count_cases(datalist)
    spec = datalist.header.target
    return {
        "name": datalist.header.name,
        "cases": counts["cases"],
        "patients": counts["patients"],
        "surrogate_patients": sum(case.patient_id_is_surrogate for case in cases),
        "splits": {name: _split(part) for name, part in datalist.splits.items()},
        "inputs": {
            name: {
                "kind": datalist.header.inputs[name].kind,
                "present": present,
                "missing": counts["cases"] - present,
            }
            for name, present in counts["inputs"].items()
        },
        "laterality": _counted(case.laterality for case in cases),
        "sex": _counted(case.sex for case in cases),
        "age": _spread([case.age for case in cases if case.age is not None and np.isfinite(case.age)]),
        "target": {
            "name": spec.name,
            "unit": spec.unit,
            "range": list(spec.range),
            **({"classes": _class_counts(cases, spec)} if spec.kind == "class" else {}),
            **({"tasks": [task.name for task in spec.tasks]} if spec.tasks else {}),
            **_target(datalist),
        },
    }


def _split(cases: Sequence[Case]) -> dict[str, int]:
    return {
        "cases": len(cases),
        "patients": len({case.patient_id for case in cases}),
        "targets": sum(case.target is not None for case in cases),
    }


def _counted(values: Iterable[str | None]) -> dict[str, int]:
    counted = Counter("unknown" if value is None else value for value in values)
    return dict(sorted(counted.items()))


def _spread(values: Sequence[float]) -> dict[str, float | int | None]:
    if not values:
        return {"known": 0, "min": None, "median": None, "max": None}
    return {
        "known": len(values),
        "min": float(min(values)),
        "median": float(np.median(values)),
        "max": float(max(values)),
    }


def _target(datalist: Datalist) -> dict[str, Any]:
    by_split = {name: _values(part) for name, part in datalist.splits.items()}
    everything = [value for values in by_split.values() for value in values]
    edges = _edges(everything, datalist.header.target)
    return {
        **_spread(everything),
        "known": sum(len(_values([case])) > 0 for _, case in datalist.cases()),
        "mean": float(np.mean(everything)) if everything else None,
        "std": float(np.std(everything)) if everything else None,
        "histogram": {
            "edges": edges,
            "counts": {name: np.histogram(values, edges)[0].tolist() for name, values in by_split.items()},
        }
        if edges
        else None,
    }


def _values(cases: Sequence[Case]) -> list[float]:
    return [value for case in cases for value in known_values(case.target) if np.isfinite(value)]


def _class_counts(cases: Sequence[Case], spec: TargetSpec) -> dict[str, int]:
    values = _values(cases)
    return {name: sum(value == index for value in values) for index, name in enumerate(spec.class_names)}


def _edges(values: Sequence[float], spec: TargetSpec) -> list[float]:
    """Bin edges; of classes a bin each."""
    specs = spec.tasks or (spec,)
    if not values or any(each.kind != "class" for each in specs):
        return histogram_edges(values)
    highest = max(len(each.class_names) - 1 for each in specs)
    # An index outside is a finding of its own, and shown all the same.
    return [index - 0.5 for index in range(int(min(0, *values)), int(max(highest, *values)) + 2)]


def histogram_edges(values: Sequence[float]) -> list[float]:
    """Round bin edges that hold all values, 24 bins at most; none when there are no values."""
    if not values:
        return []
    low, high = min(values), max(values)
    raw = (high - low) / (_BINS - 2) or 1.0
    power = 10.0 ** np.floor(np.log10(raw))
    step = next(power * factor for factor in _STEPS if power * factor >= raw * (1 - 1e-9))
    first, last = np.floor(low / step), np.floor(high / step) + 1
    return [float(edge) for edge in np.arange(first, last + 1) * step]
