"""What can be reproduced, each as a short description."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from medmd.reproduce import _lines as lines
from medmd.reproduce._lines import CONTROLS, Line

_OPTIMIZERS = {"AdamW": "torch.optim.AdamW", "Adam": "torch.optim.Adam", "SGD": "torch.optim.SGD"}
_PLAIN_RATE = 0.01
# Finding of the Adam family: a constant factor of the gradient is cancelled.
_SGD: dict[str, Any] = {
    "train#optimizer#_target_": _OPTIMIZERS["SGD"],
    "pretrain#optimizer#_target_": _OPTIMIZERS["SGD"],
    "learning_rate": _PLAIN_RATE,
}
_TABLE1 = (
    lines.UNIMODAL,
    lines.JOINT,
    lines.OGM_GE,
    lines.MMPARETO,
    lines.EYEMOST,
    lines.EYEMOST_PLUS,
    lines.SAM,
    lines.IMB_SAM,
    lines.SSE_SAM,
    lines.EGVFI,
    lines.SF3D,
    lines.SIMCLR,
    lines.CONR_ALONE,
    lines.CONR,
    lines.ECHOMEN_ALONE,
    lines.ECHOMEN,
    lines.REMD_ALONE,
    lines.REMD,
)


@dataclass(frozen=True, kw_only=True)
class Item:
    """A table or figure.

    Attributes:
        name: how it is asked for.
        title: of the page.
        claim: what the paper says of it.
        kind: `table`, `bars`, `sweep`, `tail`, `settings`, `curves`, `modulation`, `cost` or `propositions`.
        lines: its rows.
        printed: the printed table whose numbers stand beside ours.
        baseline: name of the row that others are compared with.
        sweep: for `sweep`: title of a panel -> lines in the order of the axis.
    """

    name: str
    title: str
    claim: str
    kind: str
    lines: tuple[Line, ...] = ()
    printed: str | None = None
    baseline: str | None = "uniform_sum"
    sweep: tuple[tuple[str, tuple[Line, ...]], ...] = ()

    @property
    def needed(self) -> tuple[Line, ...]:
        """Every line that has to be run."""
        return (*self.lines, *(line for _, panel in self.sweep for line in panel))


def _swept(setting: str, values: Sequence[float], short: str, base: Line, **more: Any) -> tuple[Line, ...]:
    return tuple(
        base.with_(
            name=f"{base.name}_{short}_{value:g}",
            title=f"{value:g}",
            printed=None,
            overrides={setting: value, **more},
        )
        for value in values
    )


_GAMMAS = (0.5, 1.0, 1.5, 2.0, 5.0, 10.0)
_MARGIN, _DECAY = "pretrain#contrastive_loss#initial_margin", "pretrain#contrastive_loss#decay_rate"
_GAMMA = "balancer#gamma_base"

_CORE = (lines.UNIMODAL, lines.JOINT, lines.OGM_GE, lines.MMPARETO, lines.CONR_ALONE, lines.CONR, lines.ECHOMEN_ALONE,
         lines.ECHOMEN, lines.REMD_ALONE, lines.REMD)  # fmt: skip

# The paper's five settings; the numbers of all but the first are in an appendix that is not public.
SETTINGS: dict[str, tuple[str, tuple[str, ...], tuple[Line, ...]]] = {
    "1": ("coupled imbalance", ("stage2", "hospital", "chimera", "grape", "phantom"), (*_CORE, *CONTROLS)),
    "2": (
        "multimodal regression",
        ("ct_slices", "superconductivity", "superconductors", "mosi"),
        (*_CORE, *CONTROLS),
    ),
    "3": (
        "long-tailed regression of one modality",
        ("rsna_bone_age", "age_db"),
        (lines.UNIMODAL, lines.CONR_ALONE, lines.ECHOMEN_ALONE, lines.REMD_ALONE, lines.CONSTANT),
    ),
    "4": (
        "classification",
        ("gamma", "crema_d"),
        (lines.JOINT, lines.OGM_GE, lines.MMPARETO, lines.SGM_ALONE, lines.UNIFORM),
    ),
    "5": (
        "several tasks",
        ("multi_mnist",),
        (
            lines.UNIFORM,
            lines.SGM_ALONE,
            lines.MMPARETO,
            Line(name="mgda", title="MGDA", overlays=(("mgda", "no_pretraining"),)),
            Line(name="pcgrad", title="PCGrad", overlays=(("pcgrad", "no_pretraining"),)),
            Line(name="cagrad", title="CAGrad", overlays=(("cagrad", "no_pretraining"),)),
            Line(name="nash_mtl", title="Nash-MTL", overlays=(("nash_mtl", "no_pretraining"),)),
        ),
    ),
}


def is_of_setting(dataset: str, names: Sequence[str]) -> bool:
    """Whether a data set is one of a setting's; `phantom_small` is a phantom too."""
    return any(dataset == name or dataset.startswith((f"{name}_", f"{name}-")) for name in names)


def _optimizer_lines() -> tuple[Line, ...]:
    return tuple(
        base.with_(
            name=f"{base.name}_{name.lower()}",
            title=f"{base.title}, {name}",
            overrides=_optimizer(name),
            printed=None,
        )
        for name in _OPTIMIZERS
        for base in (lines.UNIFORM, lines.REMD)
    )


def _optimizer(name: str) -> dict[str, Any]:
    """The settings that choose it; AdamW is the bundle's own."""
    if name == "AdamW":
        return {}
    if name == "SGD":
        return dict(_SGD)
    return {f"{stage}#optimizer#_target_": _OPTIMIZERS[name] for stage in ("train", "pretrain")}


def _backbone_lines() -> tuple[Line, ...]:
    found = []
    for base in (lines.UNIFORM, lines.REMD):
        found.append(base.with_(title=f"{base.title}, the data set's network", printed=None))
        overlays = (("presets/vit", *base.overlays[0]),)
        found.append(
            base.with_(
                name=f"{base.name}_vit", title=f"{base.title}, vision transformer", overlays=overlays, printed=None
            )
        )
    found.append(
        Line(
            name="stage2024", title="STAGE2024's mid-fusion", overlays=(("stage2024",), ("stage2024", "no_pretraining"))
        )
    )
    return tuple(found)


ITEMS: dict[str, Item] = {
    item.name: item
    for item in (
        Item(
            name="table1",
            title="Table 1: all methods",
            claim="Re-M3Dr has the best R2, MSE and MAE; fusion without it falls below the best single modality.",
            kind="table",
            lines=(*_TABLE1, *CONTROLS),
            printed="table1",
        ),
        Item(
            name="table2",
            title="Table 2: ablation",
            claim="Both the adaptive margin and the gradient modulation are needed.",
            kind="table",
            lines=(
                lines.JOINT.with_(printed="baseline"),
                lines.REMD.with_(
                    name="fixed_margin",
                    title="without AM: the margin stays",
                    overlays=(("sgm", "fixed_margin"),),
                    printed="fixed_margin",
                    label="default",
                ),
                lines.REMD_ALONE.with_(name="am_*", title="without SGM, * alone", printed="am_*"),
                lines.STAGE1_AM.with_(title="without SGM: AM + UniformSum", printed="am_fusion"),
                lines.MMPARETO.with_(
                    name="am_mmpareto", title="AM + MMPareto", overlays=(("mmpareto",),), printed="am_mmpareto"
                ),
                lines.REMD.with_(printed="remd"),
                lines.UNIFORM,
                lines.STAGE1_OFF,
                lines.SGM_ALONE,
            ),
            printed="table2",
        ),
        Item(
            name="fig1",
            title="Figure 1: fusion against single modalities",
            claim="Fusing OCT and fundus is worse than the better of the two alone; Re-M3Dr is better than both.",
            kind="bars",
            lines=(lines.UNIMODAL, lines.JOINT, lines.MMPARETO, lines.REMD, lines.UNIFORM, lines.LATE),
            printed="table1",
        ),
        Item(
            name="fig2",
            title="Figure 2: optimisation under coupled imbalance",
            claim="Losses of the single-modality heads oscillate on all data, and minima are sharp.",
            kind="curves",
        ),
        Item(
            name="fig5",
            title="Figure 5: sharpness and gamma",
            claim="Gamma rises with sharpness.",
            kind="modulation",
        ),
        Item(
            name="fig6",
            title="Figure 6: sensitivity to m0, beta and gamma",
            claim="The result hardly depends on the three.",
            kind="sweep",
            lines=(lines.UNIFORM,),
            sweep=(
                ("m0 (beta 5e-4)", _swept(_MARGIN, (0.1, 0.2, 0.4, 0.8, 1.6), "m0", lines.REMD)),
                ("beta (m0 0.4)", _swept(_DECAY, (0.0, 1e-4, 5e-4, 2e-3, 1e-2), "beta", lines.REMD)),
                ("gamma, AdamW", _swept(_GAMMA, _GAMMAS, "gamma", lines.REMD)),
                ("gamma, SGD", _swept(_GAMMA, _GAMMAS, "gamma_sgd", lines.REMD, **_SGD)),
            ),
        ),
        Item(
            name="settings",
            title="The paper's five settings",
            claim="Each part helps beyond the main setting.",
            kind="settings",
        ),
        Item(
            name="backbones",
            title="Backbones",
            claim="Re-M3Dr helps with other networks too.",
            kind="table",
            lines=_backbone_lines(),
        ),
        Item(
            name="optimizers",
            title="Optimizers",
            claim="Re-M3Dr helps with other optimizers too.",
            kind="table",
            lines=_optimizer_lines(),
            baseline="uniform_sum_adamw",
        ),
        Item(
            name="cost",
            title="Cost of a step",
            claim="The gain is worth its time.",
            kind="cost",
        ),
        Item(
            name="tail",
            title="Errors by density of labels",
            claim="Re-M3Dr helps most where labels are few.",
            kind="tail",
            lines=(
                lines.UNIMODAL,
                lines.JOINT,
                lines.UNIFORM,
                lines.STAGE1_AM,
                lines.MMPARETO,
                lines.IMB_SAM,
                lines.CONR,
                lines.ECHOMEN,
                lines.REMD,
                lines.LATE,
                lines.CONSTANT,
            ),
        ),
        Item(
            name="propositions",
            title="Propositions 1 and 2 on a small landscape",
            claim="No fixed gamma both leaves a sharp basin and settles in a flat one; the dynamic rule does.",
            kind="propositions",
        ),
    )
}
