"""What the components of the bundle check themselves once they are built, as far as it can be told beforehand."""

from __future__ import annotations

from typing import Any

from monai.bundle import ConfigComponent

from medmd.utils import MedmdError
from medmd.workflows._stages import STAGES, check_stages
from medmd.workflows.check_config._arguments import arguments_of
from medmd.workflows.check_config._components import is_disabled, resolve
from medmd.workflows.check_config._findings import Finding, Path, short
from medmd.workflows.check_config._merge import Merged
from medmd.workflows.check_config._near import did_you_mean, nearest
from medmd.workflows.check_config._paths import entries
from medmd.workflows.check_config._targets import locate

_RESUME = ("auto", True, False)
# A dictionary that is handed on to another class as its arguments.
_HANDED_ON = {("medmd.workflows.ensure_datalist", "phantom"): "medmd.data.PhantomCohort"}


def check_bundle(merged: Merged) -> None:
    """Note settings that a component of the bundle would refuse."""
    for path, component in entries(merged.config):
        if not ConfigComponent.is_instantiable(component) or is_disabled(component):
            continue
        target = str(component["_target_"])
        for name, value in component.items():
            source, plain = resolve(merged.config, (*path, str(name)), value)
            if (target, name) in _HANDED_ON and isinstance(plain, dict):
                _check_handed_on(merged, source, plain, _HANDED_ON[target, name])
            if target == "medmd.workflows.Session":
                _check_session(merged, source, name, plain)
    _check_modalities(merged)


def _check_session(merged: Merged, source: Path, name: str, value: Any) -> None:
    if name == "stages" and isinstance(value, list) and all(isinstance(stage, str) for stage in value):
        try:
            # As if all was done before: only the names are judged.
            check_stages(value, begun=STAGES, finished=STAGES)
        except MedmdError:
            unknown = next((stage for stage in value if stage not in STAGES), "")
            fix = did_you_mean(nearest(unknown, STAGES))
            expected = f"some of {', '.join(STAGES)}"
            merged.add(Finding("error", "wrong-value", source, "no such stages", None, expected, short(value), fix))
    if name == "resume" and isinstance(value, str) and value not in _RESUME:
        expected = "'auto', True or False"
        merged.add(Finding("error", "wrong-value", source, "no such way to resume", None, expected, repr(value)))


def _check_handed_on(merged: Merged, source: Path, given: dict[str, Any], target: str) -> None:
    arguments = arguments_of(locate(target))
    if arguments is None or arguments.open:
        return
    for name in given:
        if name not in arguments.names:
            fix = did_you_mean(nearest(name, arguments.names.keys() - given.keys()) or nearest(name, arguments.names))
            what = f"{target} takes no argument {name!r}"
            merged.add(Finding("error", "unknown-argument", (*source, str(name)), what, fix=fix))
    for name in sorted(arguments.required - given.keys()):
        what = f"{target} needs the argument {name!r}, which is not given"
        merged.add(Finding("error", "missing-argument", source, what, fix=f'add "{name}"'))


def _check_modalities(merged: Merged) -> None:
    """The encoders of the network must be those of the modalities, and so must the shapes of its inputs."""
    source, wanted = resolve(merged.config, ("modalities",), merged.config.get("modalities"))
    if not isinstance(wanted, list) or not all(isinstance(name, str) for name in wanted):
        return
    for path, given in (*_encoders(merged.config), *_shapes(merged.config)):
        for name in sorted(given.keys() - set(wanted)):
            what = "is no modality of this configuration"
            fix = did_you_mean(nearest(name, set(wanted) - given.keys())) or "remove it, or disable it"
            expected = f"those of {source[0]}: {', '.join(wanted)}"
            merged.add(Finding("error", "wrong-value", (*path, name), what, None, expected, fix=fix))
        for name in sorted(set(wanted) - given.keys()):
            merged.add(Finding("error", "missing-argument", path, f"the modality {name!r} is not there"))


def _encoders(config: dict[str, Any]) -> list[tuple[Path, dict[str, Any]]]:
    network = config.get("network")
    if not isinstance(network, dict) or not str(network.get("_target_")).startswith("medmd.networks."):
        return []
    encoders = network.get("encoders")
    if not isinstance(encoders, dict):
        return []
    kept = {n: e for n, e in encoders.items() if not (isinstance(e, dict) and "_disabled_" in e and is_disabled(e))}
    return [(("network", "encoders"), kept)]


def _shapes(config: dict[str, Any]) -> list[tuple[Path, dict[str, Any]]]:
    steps = config.get("preprocessing")
    last = steps[-1] if isinstance(steps, list) and steps else None
    if not isinstance(last, dict) or last.get("_target_") != "medmd.transforms.PackInputsd":
        return []
    shapes = last.get("shapes")
    path = ("preprocessing", str(len(steps) - 1), "shapes")  # type: ignore[arg-type]
    return [(path, shapes)] if isinstance(shapes, dict) else []
