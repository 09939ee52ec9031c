"""CHIMERA, task 1: a JSON record a patient, and the features of slides and of the MRI that the organisers give."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_prep._release import Content, row
from data_prep.chimera._clinical import COMPONENTS, FACTS, clinical_vector, number_of
from medmd.utils import MedmdError, progress, read_json, sha256_file

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from medmd.data import Header

TARGET, EVENT = "time_to_follow-up/BCR", "BCR"
FEATURES = ("pathology", "radiology")
RANGE = (0.0, 400.0)
_RECORD = re.compile(r"(\d{1,6})(_CD)?\.json", re.IGNORECASE)
_FEATURE = re.compile(r"(\d{1,6})_[\w-]{1,64}\.pt", re.ASCII)
_MOST_BYTES = 2**16
_ROLE = "features of CHIMERA"

Files = dict[str, dict[str, list[Path]]]


def read(source: Path, settings: Mapping[str, Any]) -> Content:
    """Read the records and the feature files.

    Raises:
        MedmdError: the target is an input; there is no record, or two of a patient; or features cannot be read or
            differ in length.
    """
    if settings["target"] in FACTS:
        msg = f"--target {settings['target']}: expected a fact that is no input, got one of {', '.join(FACTS)}."
        raise MedmdError(msg)
    records = find_records(source)
    files = find_features(source)
    content = Content(header=_header(settings["target"], {}), cases=[])
    rows: dict[str, list[Any]] = {name: [] for name in FEATURES}
    for patient, path in progress(records.items(), total=len(records), description="patients", unit="patient"):
        _add(content, patient, _record(path), settings, _features(files, patient), rows)
    content.matrices = {name: _matrix(name, found) for name, found in rows.items() if found}
    lengths = {name: matrix.shape[1] for name, matrix in content.matrices.items()}
    content.header = _header(settings["target"], lengths)
    content.source = {"records": len(records), "sha256": {path.name: sha256_file(path) for path in records.values()}}
    content.facts = {"feature_files": {name: sum(map(len, files[name].values())) for name in FEATURES}}
    if settings["censored"] == "keep":
        content.summary.append("the follow-up of patients without recurrence stands for a time they have not reached")
    return content


def find_records(source: Path) -> dict[str, Path]:
    """Patient -> record.

    Raises:
        MedmdError: there is none, or a patient has two.
    """
    records: dict[str, Path] = {}
    for path in sorted(source.rglob("*.json")):
        match = _RECORD.fullmatch(path.name)
        if match and match[1] in records:
            msg = f"{source}: patient {match[1]} has two records. Name the folder of one task."
            raise MedmdError(msg)
        if match:
            records[match[1]] = path
    if not records:
        msg = f"{source}: expected records such as clinical_data/1003.json below it, found none."
        raise MedmdError(msg)
    return records


def find_features(source: Path) -> Files:
    """Kind -> patient -> feature files: those in a folder `pathology` or `radiology`, at any depth."""
    files: Files = {name: {} for name in FEATURES}
    for path in sorted(source.rglob("*.pt")):
        match = _FEATURE.fullmatch(path.name)
        kind = next((name for name in FEATURES if name in path.relative_to(source).parts[:-1]), None)
        if match and kind:
            files[kind].setdefault(match[1], []).append(path)
    return files


def _record(path: Path) -> Mapping[str, Any]:
    if path.stat().st_size > _MOST_BYTES:
        msg = f"{path.name}: expected a record of at most {_MOST_BYTES} bytes, got {path.stat().st_size}."
        raise MedmdError(msg)
    record = read_json(path)
    record = record[0] if isinstance(record, list) and len(record) == 1 else record
    if not isinstance(record, dict):
        msg = f"{path.name}: expected a JSON object, or a list of one."
        raise MedmdError(msg)
    return record


def _add(
    content: Content,
    patient: str,
    record: Mapping[str, Any],
    settings: Mapping[str, Any],
    features: Mapping[str, npt.NDArray[np.float32]],
    rows: dict[str, list[Any]],
) -> None:
    from medmd.data import Case

    case_id = f"chimera-{patient}"
    inputs: dict[str, Any] = {name: row(name, len(rows[name])) if name in features else None for name in FEATURES}
    for name, values in features.items():
        rows[name].append(values)
    target, event = number_of(record.get(settings["target"])), number_of(record.get(settings["event"]))
    details = {} if event is None else {"event": int(event)}
    inputs["clinical"] = clinical_vector(record)
    content.cases.append(Case(case_id=case_id, patient_id=case_id, inputs=inputs, target=target, details=details))
    reason = _fault(target, event, keep=settings["censored"] == "keep")
    if reason:
        content.excluded[case_id] = reason


def _fault(target: float | None, event: float | None, *, keep: bool) -> str | None:
    if target is None:
        return "label_absent"
    if not RANGE[0] <= target <= RANGE[1]:
        return "label_out_of_range"
    if event not in (0.0, 1.0):
        return "event_unknown"
    return None if event or keep else "censored"


def _features(files: Files, patient: str) -> dict[str, npt.NDArray[np.float32]]:
    """Kind -> mean over all patches of all slides, or the one vector of the MRI."""
    import numpy as np

    means = {}
    for name in FEATURES:
        parts = [values for path in files[name].get(patient, []) for values in _rows_of(path)]
        if parts:
            every = np.concatenate(parts)
            means[name] = every.mean(axis=0, dtype=np.float64).astype(np.float32)
    return means


def _rows_of(path: Path) -> Iterator[npt.NDArray[np.float32]]:
    """The rows (patches, features) of a file."""
    from medmd.utils import load_tensor

    tensor = load_tensor(path, role=_ROLE).float()
    if tensor.ndim < 1 or tensor.numel() == 0 or not bool(tensor.isfinite().all()):
        msg = f"{path.name}: expected finite features (patches, length), got the shape {tuple(tensor.shape)}."
        raise MedmdError(msg)
    yield tensor.reshape(-1, tensor.shape[-1]).numpy()


def _matrix(name: str, rows: list[Any]) -> npt.NDArray[np.float32]:
    import numpy as np

    lengths = sorted({len(values) for values in rows})
    if len(lengths) > 1:
        msg = f"{name}: expected features of one length, got {', '.join(map(str, lengths))}. Use one extractor."
        raise MedmdError(msg)
    return np.stack(rows)


def _header(target: str, lengths: Mapping[str, int]) -> Header:
    from medmd.data import Header, InputSpec, TargetSpec

    said = {
        "pathology": "features of the slides of the prostate, mean over all patches",
        "radiology": "features of the multiparametric MRI",
    }
    inputs = {
        name: InputSpec(kind="vector", details={"description": said[name], "length": lengths.get(name, 0)})
        for name in FEATURES
    }
    details = {"components": list(COMPONENTS), "length": len(COMPONENTS)}
    return Header(
        name="chimera",
        description="Men after removal of the prostate, of the CHIMERA challenge: when the cancer comes back.",
        inputs={**inputs, "clinical": InputSpec(kind="vector", details=details)},
        target=TargetSpec(name="months", unit="months", range=RANGE, details={"key": target}),
        source="CHIMERA challenge, MICCAI 2025, task 1: biochemical recurrence of prostate cancer",
        converter="data_prep.chimera",
    )
