"""A trained model as a folder of plain data: what its network is, what its inputs go through, its weights.

Nothing in it is code or is evaluated: JSON and safetensors only, and every class that it names must be in a fixed list.
The folder is what inference, `medmd predict` and the registry load.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai.transforms import Compose
from torch import nn

from medmd._version import __version__
from medmd.networks import MultimodalNetwork, build_network, load_weights, save_weights
from medmd.utils import MedmdError, read_json, read_safetensors_header, regular_file, sha256_file, write_json
from medmd.workflows._preprocessing import build_preprocessing, check_preprocessing

NETWORK, PREPROCESSING, WEIGHTS, MANIFEST = "network.json", "preprocessing.json", "model.safetensors", "manifest.json"
FORMAT = 1
_ROLE = "part of a model folder"
_CONTENT = (NETWORK, PREPROCESSING, WEIGHTS)
# A description takes a few kB; the weights at most what `build_network` allows, in double precision.
_MOST_BYTES = {NETWORK: 1 << 20, PREPROCESSING: 1 << 20, MANIFEST: 1 << 20, WEIGHTS: 8_100_000_000}
_FACTS = {"format": int, "method": str, "inputs": dict, "target": dict, "sha256": dict}


@dataclass(frozen=True)
class ModelFolder:
    """A loaded model.

    Attributes:
        network: the `MultimodalNetwork` with its weights, in evaluation mode.
        preprocessing: from a datalist item to the network's inputs.
        manifest: name of the method, inputs (name, kind), target (name, unit), version, digests.
    """

    network: MultimodalNetwork
    preprocessing: Compose
    manifest: dict[str, Any]


def write_model_folder(
    folder: str | Path,
    *,
    network: nn.Module,
    description: dict[str, Any],
    preprocessing: list[dict[str, Any]],
    facts: dict[str, Any],
) -> None:
    """Write a model folder; the manifest comes last, so that a folder without one is unfinished.

    Args:
        folder: to make.
        network: whose weights to store.
        description: the network as plain JSON.
        preprocessing: the deterministic transforms as plain JSON, the last one `PackInputsd`.
        facts: for the manifest: `method`, `inputs`, `target` and whatever else describes the model.
    """
    folder = Path(folder)
    check_preprocessing(preprocessing)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / NETWORK, description)
    write_json(folder / PREPROCESSING, preprocessing)
    save_weights(network, folder / WEIGHTS)
    digests = {name: sha256_file(folder / name) for name in _CONTENT}
    write_json(folder / MANIFEST, {"format": FORMAT, "medmd": __version__, **facts, "sha256": digests})


def load_model_folder(folder: str | Path) -> ModelFolder:
    """Load what `write_model_folder` wrote.

    Raises:
        MedmdError: a file is absent or differs from its digest, a description names what is not allowed, or the folder
            is of a format that this version does not know.
    """
    folder = Path(folder)
    manifest = _read_manifest(folder)
    for name in _CONTENT:
        path = folder / name
        if path.exists():
            regular_file(path, role=_ROLE, most_bytes=_MOST_BYTES[name])
        if not path.is_file() or sha256_file(path) != manifest["sha256"][name]:
            problem = "differs from its digest" if path.is_file() else "is absent"
            msg = f"The model folder is damaged: {name} {problem}. Expected what manifest.json lists; copy it again."
            raise MedmdError(msg)
    # A description of a few bytes may ask for a network of gigabytes; only the file of weights shows that it is meant.
    stored = read_safetensors_header(folder / WEIGHTS, role=_ROLE)
    size = sum(math.prod(tensor.shape) for tensor in stored.values())
    network = build_network(read_json(folder / NETWORK), load_pretrained=False, most_parameters=size)
    if list(network.modalities) != list(manifest["inputs"]):
        msg = f"{MANIFEST}: inputs are {list(manifest['inputs'])}, those of the network {list(network.modalities)}."
        raise MedmdError(msg)
    load_weights(network, folder / WEIGHTS)
    return ModelFolder(network.eval(), build_preprocessing(read_json(folder / PREPROCESSING)), manifest)


def _read_manifest(folder: Path) -> dict[str, Any]:
    if (folder / MANIFEST).exists():
        regular_file(folder / MANIFEST, role=_ROLE, most_bytes=_MOST_BYTES[MANIFEST])
    manifest = read_json(folder / MANIFEST)
    given = manifest if isinstance(manifest, dict) else {}
    wrong = [name for name, kind in _FACTS.items() if not isinstance(given.get(name), kind)]
    if wrong or not isinstance(manifest["target"].get("name"), str):
        wanted = ", ".join(f"{name} ({kind.__name__})" for name, kind in _FACTS.items())
        msg = (
            f"{MANIFEST}: expected the entries {wanted} and a name of the target, got others for {wrong or 'the name'}."
        )
        raise MedmdError(msg)
    if manifest["format"] != FORMAT:
        msg = f"{MANIFEST}: format {manifest['format']}, expected {FORMAT}. Load it with a later medmd."
        raise MedmdError(msg)
    if sorted(manifest["sha256"]) != sorted(_CONTENT):
        msg = f"{MANIFEST}: sha256 names {sorted(manifest['sha256'])}, expected {sorted(_CONTENT)}."
        raise MedmdError(msg)
    return dict(manifest)
