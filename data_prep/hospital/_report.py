"""What the conversion did, as numbers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from data_prep._report import ConversionReport, Tally, versions
from data_prep.hospital._cases import CONVERTER
from data_prep.hospital._complete import QUARANTINED, Ledger
from data_prep.hospital._facts import Examination
from data_prep.hospital._flow import Flow, count_flow
from data_prep.hospital._pairing import Pair, Pairing
from data_prep.hospital._report_reasons import FIXES, HARMLESS, REASONS

if TYPE_CHECKING:
    from data_prep.hospital._site import SiteConfig

# Settings that may name people or places of the hospital stay in the site file.
_NOT_TOLD = ("tables", "name")
# Widths of the bins, in years and in days.
_DECADES, _MONTHS = 10, 15
_PACKAGES = ("isal", "nibabel", "numpy", "openpyxl", "pillow", "pydicom", "scikit-image", "scipy", "simpleitk")


def make_flow(ledger: Ledger, pairing: Pairing) -> Flow:
    """The numbers of the flow diagram."""
    giving = set(ledger.file_of.values())
    aside = [str(reason) for pointer, reason in ledger.files.items() if pointer not in giving]
    return count_flow(
        ledger.examinations,
        pairing,
        files=len(ledger.files),
        files_aside=aside,
        unpaired=ledger.refused.values(),
    )


def make_report(ledger: Ledger, pairing: Pairing, flow: Flow, site: SiteConfig) -> ConversionReport:
    """Counts of files and examinations, and what is known of those that are used.

    Args:
        ledger: what came in.
        pairing: what became of it.
        flow: as `make_flow` gives it.
        site: the settings.
    """
    states = _states(ledger, pairing)
    settings = {name: value for name, value in site.as_json().items() if name not in _NOT_TOLD}
    return ConversionReport(
        converter=CONVERTER,
        arguments={"site_digest": site.digest, **settings},
        source={},
        tallies=[_files(ledger, states), _examinations(states), *([ledger.rows] if ledger.rows.total else [])],
        reasons={**_words(ledger), **REASONS},
        fixes={**ledger.fixes, **FIXES},
        harmless=HARMLESS,
        facts=_facts(ledger, pairing, flow),
    )


def _states(ledger: Ledger, pairing: Pairing) -> dict[str, str]:
    """Name of each examination -> `used`, `merged` or the reason why it is neither."""
    used = {each.name for found in pairing.pairs for each in (found.vf, found.oct, found.fundus) if each is not None}
    states = {**ledger.refused, **pairing.excluded}
    states |= dict.fromkeys(pairing.merged, "merged") | dict.fromkeys(used, "used")
    return {name: states[name] for name in ledger.file_of}


def _files(ledger: Ledger, states: Mapping[str, str]) -> Tally:
    held: dict[str, list[str]] = defaultdict(list)
    for name, pointer in ledger.file_of.items():
        held[pointer].append(states[name])
    tally = Tally("files", len(ledger.files), word=QUARANTINED)
    for pointer, reason in sorted(ledger.files.items()):
        of_file = held[pointer]
        if "used" in of_file:
            tally.converted += 1
        elif "merged" in of_file or pointer in ledger.tables_used or (reason and pointer in ledger.parts):
            tally.merged += 1
        else:
            tally.exclude(of_file[0] if of_file else str(reason), pointer)
    return tally


def _examinations(states: Mapping[str, str]) -> Tally:
    tally = Tally("examinations", len(states), word=QUARANTINED)
    for name, state in sorted(states.items()):
        if state == "used":
            tally.converted += 1
        elif state == "merged":
            tally.merged += 1
        else:
            tally.exclude(state, name)
    return tally


def _words(ledger: Ledger) -> dict[str, str]:
    """Reasons that only a reader knows, in the words that it has for the first file."""
    words: dict[str, str] = {}
    states = {**ledger.files, **ledger.refused}
    for item, detail in sorted(ledger.details.items()):
        reason = states.get(item)
        if reason is not None:
            words.setdefault(reason, f"{reason.replace('-', ' ')}: {detail}")
    return words


def _facts(ledger: Ledger, pairing: Pairing, flow: Flow) -> dict[str, Any]:
    pairs = pairing.pairs
    used = {
        kind: list({each.name: each for found in pairs if (each := getattr(found, kind)) is not None}.values())
        for kind in ("vf", "oct", "fundus")
    }
    return {
        "details": dict(sorted(ledger.details.items())),
        "eyes": len({(found.vf.patient, found.vf.laterality) for found in pairs}),
        "patients": len({found.vf.patient for found in pairs}),
        "ages": _spread(_ages(pairs)),
        "intervals_days": {
            "oct": _spread([abs(found.days_oct_vf) for found in pairs if found.days_oct_vf is not None]),
            "fundus": _spread([abs(found.days_fundus_vf) for found in pairs if found.days_fundus_vf is not None]),
        },
        "devices": {kind: _counts(each.device for each in found) for kind, found in used.items()},
        "formats": {kind: _counts(each.source_format for each in found) for kind, found in used.items()},
        "patterns": _counts(each.pattern for each in used["vf"]),
        "strategies": _counts(each.strategy for each in used["vf"]),
        "reliability": _counts(found.vf_reliability for found in pairs),
        "warnings": _counts(warning for found in used.values() for each in found for warning in each.warnings),
        "shapes": {
            kind: _counts(" x ".join(map(str, each.shape)) for each in used[kind]) for kind in ("oct", "fundus")
        },
        "quality": {kind: _quality(used[kind]) for kind in ("oct", "fundus")},
        "histograms": _histograms(pairs),
        "flow": flow.as_json(),
        "choices": {
            kind: _counts(found.why.get(kind) for found in pairs if getattr(found, kind) is not None)
            for kind in ("oct", "fundus")
        },
        "versions": versions(*_PACKAGES),
    }


def _histograms(pairs: Sequence[Pair]) -> dict[str, Any]:
    days = {"oct": [found.days_oct_vf for found in pairs], "fundus": [found.days_fundus_vf for found in pairs]}
    distances = {kind: [abs(day) for day in of if day is not None] for kind, of in days.items()}
    return {
        "age": _histogram({"patients": _ages(pairs)}, _DECADES),
        "days": _histogram(distances, _MONTHS),
    }


def _histogram(values: Mapping[str, Sequence[float]], width: int) -> dict[str, Any] | None:
    """Counts in bins of one width, from the first that holds something to the last."""
    known = [value for of in values.values() for value in of]
    if not known:
        return None
    first, last = int(min(known)) // width, int(max(known)) // width
    edges = [width * place for place in range(first, last + 2)]
    bins = {name: Counter(int(value) // width for value in of) for name, of in values.items()}
    return {
        "edges": edges,
        "counts": {name: [counted[place] for place in range(first, last + 1)] for name, counted in bins.items()},
    }


def _ages(pairs: Sequence[Pair]) -> list[float]:
    return [found.vf.age for found in pairs if found.vf.age is not None]


def _quality(images: Sequence[Examination]) -> dict[str, Any]:
    names = sorted({name for each in images for name in each.quality})
    return {name: _spread([each.quality[name] for each in images if name in each.quality]) for name in names}


def _counts(values: Iterable[str | None]) -> dict[str, int]:
    return dict(sorted(Counter("unknown" if value is None else value for value in values).items()))


def _spread(values: Sequence[float]) -> dict[str, float] | None:
    """Number, extremes, quartiles and mean."""
    if not values:
        return None
    import numpy as np

    low, first, median, third, high = np.percentile(np.asarray(values, dtype=float), [0, 25, 50, 75, 100])
    found = {"min": low, "first_quartile": first, "median": median, "third_quartile": third, "max": high}
    return {"count": len(values), **{name: round(float(value), 4) for name, value in found.items()}}
