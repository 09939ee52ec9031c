"""Files that a configuration names as its input and that are not there."""

from __future__ import annotations

from pathlib import Path as FilePath

from monai.bundle import ConfigComponent

from medmd.workflows.check_config._components import is_disabled, resolve
from medmd.workflows.check_config._findings import Finding, Path
from medmd.workflows.check_config._merge import Merged
from medmd.workflows.check_config._paths import entries
from medmd.workflows.check_config._settings import shipped_settings

# Argument → the file that must stand in the folder that it names, if it names a folder.
_INPUTS = {
    "medmd.workflows.ensure_datalist": {"dataset_dir": "datalist.json"},
    "medmd.workflows.cases_to_predict": {"source": ""},
    "medmd.workflows.Evaluation": {"source": ""},
    "medmd.workflows.Predictor": {"folder": "manifest.json"},
    "medmd.workflows.bundle_network": {"folder": "manifest.json"},
}
_WEIGHTS = (".pt", ".pth", ".ckpt", ".safetensors")
_WEIGHT_ARGUMENTS = frozenset(
    {"load_path", "pretrained", "weights", "weights_path", "checkpoint", "checkpoint_path", "ckpt_path", "model_path"}
)


def check_files(merged: Merged) -> None:
    """Note inputs that are absent. Those of the bundle's own defaults come into being with a first run: a remark."""
    shipped = shipped_settings(merged.config)
    for path, component in entries(merged.config):
        if not ConfigComponent.is_instantiable(component) or is_disabled(component):
            continue
        wanted = _INPUTS.get(str(component["_target_"]), {})
        for name, value in component.items():
            source, plain = resolve(merged.config, (*path, str(name)), value)
            if isinstance(plain, str) and (name in wanted or _is_weights(name, plain)):
                absent = _absent(FilePath(plain), wanted.get(name, ""))
                if absent:
                    _note(merged, source, absent, is_default=shipped.get(source[0]) == plain)


def _is_weights(name: str, text: str) -> bool:
    return name in _WEIGHT_ARGUMENTS and text.endswith(_WEIGHTS)


def _absent(path: FilePath, inside: str) -> FilePath | None:
    if inside and path.suffix != ".json":
        path = path / inside
    return None if path.exists() else path


def _note(merged: Merged, source: Path, absent: FilePath, *, is_default: bool) -> None:
    what = f"{absent} does not exist"
    if is_default:
        merged.add(Finding("note", "absent-file", source, f"{what} yet; this is the bundle's own default"))
    else:
        fix = "name what exists; relative paths count from the working directory"
        merged.add(Finding("error", "absent-file", source, what, fix=fix))
