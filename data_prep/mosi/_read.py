"""CMU-MOSI, one row an utterance: the arrays of an `.npz` as cases."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_prep._release import Content, row
from medmd.utils import MedmdError, sha256_file

if TYPE_CHECKING:
    import numpy.typing as npt

    from medmd.data import Header

INPUTS = ("text", "audio", "video")
RANGE = (-3.0, 3.0)
_PARTS = {"train": "training", "valid": "validation", "test": "testing"}
_UID = re.compile(r"(.{1,64})_(\d{1,5})", re.ASCII)
_HOW = (
    "Expected arrays <part>_text, <part>_audio, <part>_video (a row an utterance), <part>_y (opinion, -3 to 3) and "
    "<part>_uid (video_number, as 03bSnISJMiM_11) for the parts train, test and, where there is one, valid."
)

Arrays = dict[str, "npt.NDArray[Any]"]


def read(source: Path, settings: Mapping[str, Any]) -> Content:
    """Read the `.npz`.

    Args:
        source: the file or its folder.
        settings: `part`: "all", or "test" for that part alone, which then is no list of its own.

    Raises:
        MedmdError: there is no such file, or its arrays are not those of `_HOW`.
    """
    import numpy as np

    from data_prep._npz import read_npz
    from data_prep._numbers import whole_rows
    from medmd.data import Case

    path = find_npz(source)
    wanted = [f"{part}_{name}" for part in _PARTS for name in (*INPUTS, "y", "uid")]
    arrays, objects = read_npz(path, wanted)
    if objects:
        msg = f"{path.name}: {objects[0]} holds Python objects, which only pickle could read. {_HOW}"
        raise MedmdError(msg)
    parts = [part for part in _PARTS if f"{part}_y" in arrays]
    _check(path.name, arrays, parts)
    if settings["part"] == "test":
        parts = ["test"]
    joined = {name: np.concatenate([arrays[f"{part}_{name}"] for part in parts]) for name in (*INPUTS, "y", "uid")}
    matrices = {name: joined[name].astype(np.float32) for name in INPUTS}
    whole = whole_rows(matrices)
    home = [_PARTS[part] for part in parts for _ in range(len(arrays[f"{part}_y"]))]
    names = _pseudonyms(path.name, [str(uid) for uid in joined["uid"]])
    content = Content(header=make_header({name: matrix.shape[1] for name, matrix in matrices.items()}), cases=[])
    content.matrices = matrices
    for place, (case_id, patient_id) in enumerate(names):
        target = float(joined["y"][place])
        inputs = {name: row(name, place) if whole[name][place] else None for name in INPUTS}
        content.cases.append(Case(case_id=case_id, patient_id=patient_id, inputs=inputs, target=round(target, 4)))
        if len(parts) > 1:
            content.parts[case_id] = home[place]
        reason = _fault(target, inputs)
        if reason:
            content.excluded[case_id] = reason
    content.source = {"file": path.name, "sha256": sha256_file(path)}
    videos = len({patient for _, patient in names})
    content.facts = {"videos": videos, "parts": {part: home.count(part) for part in sorted(set(home))}}
    content.summary = [f"videos: {videos}, all utterances of one in one list"]
    return content


def find_npz(source: Path) -> Path:
    """SRC itself, or the only `.npz` in it.

    Raises:
        MedmdError: there is none, or several.
    """
    found = [source] if source.suffix == ".npz" and source.is_file() else sorted(source.glob("*.npz"))
    if len(found) != 1:
        msg = f"{source}: expected one .npz file, found {len(found) or 'none'}. Pickles (.pkl, .csd) are not read."
        raise MedmdError(msg)
    return found[0]


def make_header(lengths: Mapping[str, int]) -> Header:
    """The header, given how many features each input has."""
    from medmd.data import Header, InputSpec, TargetSpec

    details = {
        "text": "features of the words, averaged over the utterance",
        "audio": "features of the voice, averaged over the utterance",
        "video": "features of the face, averaged over the utterance",
    }
    return Header(
        name="mosi",
        description="Utterances of the CMU-MOSI release, in the release's own parts; a video is a patient (93 "
        "videos of 89 speakers, who are not named).",
        inputs={
            name: InputSpec(kind="vector", details={"description": details[name], "length": lengths[name]})
            for name in INPUTS
        },
        target=TargetSpec(name="opinion", unit="points", range=RANGE),
        source='Zadeh et al., "MOSI: Multimodal Corpus of Sentiment Intensity", arXiv:1606.06259, 2016',
        converter="data_prep.mosi",
    )


def _check(name: str, arrays: Arrays, parts: list[str]) -> None:
    missing = [f"{part}_{each}" for part in parts for each in (*INPUTS, "uid") if f"{part}_{each}" not in arrays]
    if "train" not in parts or "test" not in parts or missing:
        what = f"{', '.join(missing)} are absent" if missing else "a part is absent"
        msg = f"{name}: {what}. {_HOW}"
        raise MedmdError(msg)
    for part in parts:
        # The size, unlike the length, is there for an array without axes too.
        rows = arrays[f"{part}_y"].size
        for each in ("y", *INPUTS, "uid"):
            array, wanted = arrays[f"{part}_{each}"], 2 if each in INPUTS else 1
            if array.ndim != wanted or len(array) != rows or (array.dtype.kind == "U") != (each == "uid"):
                msg = f"{name}: {part}_{each} has shape {array.shape} and type {array.dtype}. {_HOW}"
                raise MedmdError(msg)
    if any(len({arrays[f"{part}_{each}"].shape[1] for part in parts}) > 1 for each in INPUTS):
        msg = f"{name}: an input has another length in another part. {_HOW}"
        raise MedmdError(msg)


def _pseudonyms(name: str, uids: list[str]) -> list[tuple[str, str]]:
    """Case and patient of every utterance.

    The videos' names are addresses on the web and lead to faces: videos are numbered in their order instead.
    """
    matches = [_UID.fullmatch(uid) for uid in uids]
    pairs = [(match[1], int(match[2])) for match in matches if match]
    # As pairs, for v_1 and v_01 are one utterance.
    if len(pairs) < len(uids) or len(set(pairs)) < len(pairs):
        msg = f"{name}: an utterance is named twice, or not as video_number. {_HOW}"
        raise MedmdError(msg)
    numbers = {video: number for number, video in enumerate(sorted({video for video, _ in pairs}), start=1)}
    return [(f"mosi-{numbers[video]:03d}-{part:03d}", f"mosi-{numbers[video]:03d}") for video, part in pairs]


def _fault(target: float, inputs: Mapping[str, Any]) -> str | None:
    if target != target:
        return "label_absent"
    if not RANGE[0] <= target <= RANGE[1]:
        return "label_out_of_range"
    return "not_finite" if all(value is None for value in inputs.values()) else None
