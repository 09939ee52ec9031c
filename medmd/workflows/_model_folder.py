"""A trained model as a folder of plain data: what its network is, what its inputs go through, its weights.

Nothing in it is code or is evaluated: JSON and safetensors only, and every class that it names must be one of ours or
of MONAI's transforms. The folder is what inference, `medmd predict` and the registry load.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser
from monai.transforms import Compose
from torch import nn

from medmd._version import __version__
from medmd.networks import build_network, load_weights, save_weights
from medmd.utils import MedmdError, read_json, sha256_file, write_json

NETWORK, PREPROCESSING, WEIGHTS, MANIFEST = "network.json", "preprocessing.json", "model.safetensors", "manifest.json"
FORMAT = 1
_ALLOWED_TRANSFORMS = ("medmd.transforms.", "monai.transforms.")


@dataclass(frozen=True)
class ModelFolder:
    """A loaded model.

    Attributes:
        network: the `MultimodalRegressor` with its weights, in evaluation mode.
        preprocessing: from a datalist item to the network's inputs.
        manifest: name of the method, inputs (name, kind), target (name, unit), version, digests.
    """

    network: nn.Module
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
    folder.mkdir(parents=True, exist_ok=True)
    _audit(preprocessing, "preprocessing")
    write_json(folder / NETWORK, description)
    write_json(folder / PREPROCESSING, preprocessing)
    save_weights(network, folder / WEIGHTS)
    digests = {name: sha256_file(folder / name) for name in (NETWORK, PREPROCESSING, WEIGHTS)}
    write_json(folder / MANIFEST, {"format": FORMAT, "medmd": __version__, **facts, "sha256": digests})


def load_model_folder(folder: str | Path) -> ModelFolder:
    """Load what `write_model_folder` wrote.

    Raises:
        MedmdError: a file is absent, differs from its digest, or names a class that is not allowed.
    """
    folder = Path(folder)
    manifest = read_json(folder / MANIFEST)
    for name, digest in manifest["sha256"].items():
        path = folder / name
        if not path.is_file() or sha256_file(path) != digest:
            problem = "differs from its digest" if path.is_file() else "is absent"
            msg = f"The model folder is damaged: {name} {problem}. Expected what manifest.json lists; copy it again."
            raise MedmdError(msg)
    network = build_network(read_json(folder / NETWORK), load_pretrained=False)
    load_weights(network, folder / WEIGHTS)
    return ModelFolder(network.eval(), build_preprocessing(read_json(folder / PREPROCESSING)), manifest)


def build_preprocessing(description: list[dict[str, Any]]) -> Compose:
    """The transforms that a plain description names, nothing in it evaluated.

    Raises:
        MedmdError: an expression, a reference, or a class outside of `medmd.transforms` and `monai.transforms`.
    """
    _audit(description, "preprocessing")
    parser = ConfigParser({"transforms": description})
    return Compose(parser.get_parsed_content("transforms"))


def _audit(value: Any, where: str) -> None:
    if isinstance(value, dict):
        target = value.get("_target_")
        if target is not None and not str(target).startswith(_ALLOWED_TRANSFORMS):
            msg = (
                f"{where}: {target!r} is not allowed. Name a class of {' or '.join(_ALLOWED_TRANSFORMS)} by full path."
            )
            raise MedmdError(msg)
        for name, item in value.items():
            _audit(item, f"{where}#{name}")
    elif isinstance(value, list):
        for position, item in enumerate(value):
            _audit(item, f"{where}#{position}")
    elif isinstance(value, str) and value[:1] in ("$", "@", "%"):
        msg = f"{where}: {value!r} is an expression or reference. Preprocessing is handed over as plain data."
        raise MedmdError(msg)
