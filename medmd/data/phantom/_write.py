"""A cohort as files: images by several workers, resumed where an earlier run was stopped."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from medmd.data.phantom._encode import nifti_bytes, png_bytes
from medmd.data.phantom._fundus import render_fundus
from medmd.data.phantom._latent import MODALITIES, Eye
from medmd.data.phantom._oct import SPACING_MM, render_oct
from medmd.utils import MedmdError, progress, read_json, sha256_file, write_atomic, write_json

DATALIST = "datalist.json"
# Written first: says whose folder this is, so that a stopped run can be finished and a stranger's folder is left alone.
MARKER = "phantom.json"
_ENDINGS = {"oct": ".nii.gz", "fundus": ".png"}

Hashes = dict[str, str]


def image_path(eye: Eye, modality: str) -> str:
    """Where an image lies in the cohort's folder."""
    return f"{modality}/{eye.case_id}{_ENDINGS[modality]}"


def claim_folder(folder: Path, arguments: Mapping[str, Any]) -> None:
    """Make `folder` this cohort's, or refuse.

    Raises:
        MedmdError: it holds something else, or a phantom with other arguments.
    """
    if folder.exists() and not folder.is_dir():
        msg = f"{folder}: expected a folder for the phantom cohort, found a file. Name another folder."
        raise MedmdError(msg)
    marker = folder / MARKER
    if marker.exists():
        found = read_json(marker)
        if found != arguments:
            msg = f"{folder} holds a phantom cohort with other arguments ({_difference(found, arguments)}). "
            raise MedmdError(msg + "It is left untouched: name another folder, or delete this one yourself.")
        return
    # A run that was killed before its first file was whole leaves only a temporary one.
    if folder.exists() and any(not path.name.startswith(".tmp-") for path in folder.iterdir()):
        msg = f"{folder} is not empty and holds no phantom cohort. It is left untouched: name a new folder."
        raise MedmdError(msg)
    write_json(marker, arguments)


def write_images(folder: Path, eyes: Sequence[Eye], known: Mapping[str, Hashes], workers: int) -> list[Hashes]:
    """Write what is missing and give every image's SHA-256, eye after eye.

    Args:
        folder: the cohort's, claimed before.
        eyes: the cohort.
        known: case -> hashes of an earlier, finished run; a file that differs is made anew. A file of a stopped run is
            whole, since writes are atomic, and kept.
        workers: processes; the bytes do not depend on their number.
    """
    jobs = [(folder, eye, known.get(eye.case_id, {})) for eye in eyes]
    shown = progress(_run(jobs, workers), total=len(jobs), description="phantom", unit="eye")
    return list(shown)


def _run(jobs: Sequence[tuple[Path, Eye, Hashes]], workers: int) -> Iterator[Hashes]:
    if workers <= 1 or len(jobs) < 2:
        yield from map(_write_eye, jobs)
        return
    # A fresh interpreter for each worker: forking a process with threads (torch) can lock up.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=context, initializer=_follow_parent) as pool:
        yield from pool.map(_write_eye, jobs, chunksize=4)


def _follow_parent() -> None:
    """End with the parent: workers of one that was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent,), daemon=True).start()


def _exit_after(parent: Any) -> None:
    parent.join()
    os._exit(1)


def _write_eye(job: tuple[Path, Eye, Hashes]) -> Hashes:
    folder, eye, known = job
    hashes = {}
    for modality in MODALITIES:
        if modality in eye.missing:
            continue
        path = folder / image_path(eye, modality)
        if not path.exists() or (modality in known and sha256_file(path) != known[modality]):
            write_atomic(path, _image_bytes(eye, modality))
        hashes[modality] = sha256_file(path)
    return hashes


def _image_bytes(eye: Eye, modality: str) -> bytes:
    if modality == "oct":
        return nifti_bytes(render_oct(eye), SPACING_MM)
    return png_bytes(render_fundus(eye))


def _difference(found: Any, wanted: Mapping[str, Any]) -> str:
    if not isinstance(found, Mapping):
        return "its marker is not an object"
    names = sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))
    return "; ".join(f"{name}: expected {wanted.get(name)}, found {found.get(name)}" for name in names)
