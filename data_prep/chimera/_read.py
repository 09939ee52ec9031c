"""CHIMERA, task 1: a JSON record a patient, and the features of slides and of the MRI that the organisers give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_prep._release import Content, row
from data_prep._report import some
from data_prep.chimera._clinical import COMPONENTS, FACTS, clinical_vector, is_foreign_therapy, number_of
from data_prep.chimera._find import FEATURES, Files, find_features, find_records
from medmd.utils import MedmdError, progress, read_json, sha256_file

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from medmd.data import Header

TARGET, EVENT = "time_to_follow-up/BCR", "BCR"
RANGE = (0.0, 400.0)
_MOST_BYTES = 2**16
_ROLE = "features of CHIMERA"


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
    files, unused = find_features(source, records)
    content = Content(header=_header(settings["target"], {}), cases=[])
    rows: dict[str, list[Any]] = {name: [] for name in FEATURES}
    for patient, path in progress(records.items(), total=len(records), description="patients", unit="patient"):
        _add(content, patient, _record(path), settings, _features(files, patient), rows)
    content.matrices = {name: _matrix(name, found) for name, found in rows.items() if found}
    lengths = {name: matrix.shape[1] for name, matrix in content.matrices.items()}
    content.header = _header(settings["target"], lengths)
    content.source = {"records": len(records), "sha256": {path.name: sha256_file(path) for path in records.values()}}
    _tell(content, {name: sum(map(len, files[name].values())) for name in FEATURES}, unused)
    if settings["censored"] == "keep":
        content.summary.append("the follow-up of patients without recurrence stands for a time they have not reached")
    return content


def _tell(content: Content, counts: Mapping[str, int], unused: Mapping[str, int]) -> None:
    """Say how many feature files there are, for a kind without any goes missing for everybody, and what is not used."""
    content.facts["feature_files"] = dict(counts)
    said = [f"{name} {count or 'none: the input is missing for everybody'}" for name, count in counts.items()]
    content.summary.append(f"feature files: {', '.join(said)}")
    if unused:
        content.facts["feature_files_not_used"] = dict(unused)
        said = [f"{count} {why}" for why, count in unused.items()]
        content.summary.append(f".pt files not used: {', '.join(said)}")
    foreign = content.facts.get("earlier_therapy_not_understood", [])
    if foreign:
        content.summary.append(f"earlier_therapy in words that are not known, taken as unknown: {some(foreign)}")


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
    if is_foreign_therapy(record):
        content.facts.setdefault("earlier_therapy_not_understood", []).append(case_id)
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
        paths = files[name].get(patient, [])
        parts = [_rows_of(path) for path in paths]
        _check_lengths(paths, [part.shape[1] for part in parts])
        if parts:
            every = np.concatenate(parts)
            means[name] = every.mean(axis=0, dtype=np.float64).astype(np.float32)
    return means


def _check_lengths(paths: Sequence[Path], lengths: Sequence[int]) -> None:
    for path, length in zip(paths, lengths, strict=True):
        if length != lengths[0]:
            msg = (
                f"{path.name}: expected features of one length in all files of a patient, {lengths[0]} as in "
                f"{paths[0].name}, got {length}. Use one extractor."
            )
            raise MedmdError(msg)


def _rows_of(path: Path) -> npt.NDArray[np.float32]:
    """The rows (patches, features) of a file."""
    from medmd.utils import load_tensor

    tensor = load_tensor(path, role=_ROLE).float()
    if tensor.ndim < 1 or tensor.numel() == 0 or not bool(tensor.isfinite().all()):
        msg = f"{path.name}: expected finite features (patches, length), got the shape {tuple(tensor.shape)}."
        raise MedmdError(msg)
    return tensor.reshape(-1, tensor.shape[-1]).numpy()


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
