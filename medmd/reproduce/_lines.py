"""The rows of the paper's tables as what has to be run for them: overlays, settings and the column to read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Line:
    """One row of a table, or with a `*` one a modality.

    Attributes:
        name: of the row; `*` stands for the modality.
        title: for readers; `*` too.
        overlays: of `methods/` (or `presets/…`) of the bundle; several ways to say the same, the first is run.
        peer: a predictor without a network, in the place of overlays.
        column: of the runs' tables of predictions; of several the first that is there.
        overrides: settings of the bundle.
        stage_one: share of the epochs for stage 1, in the place of the data set's.
        printed: key of the printed row; `*` stands for the modality.
        label: `default`, or `core` for what a benchmark tunes.
    """

    name: str
    title: str
    overlays: tuple[tuple[str, ...], ...] = ()
    peer: str | None = None
    column: tuple[str, ...] = ("fusion",)
    overrides: Mapping[str, Any] = field(default_factory=dict)
    stage_one: float | None = None
    printed: str | None = None
    label: str = "default"

    @property
    def method(self) -> str:
        """A name for its runs; lines of the same runs have the same."""
        if self.peer is not None:
            return self.peer
        parts = [*(name.replace("/", "-") for name in self.overlays[0]), *_words(self.overrides)]
        stage_one = [] if self.stage_one is None else [f"stage1-{self.stage_one:g}"]
        return "+".join([*parts, *stage_one]) or "default"

    def with_(self, **changes: Any) -> Line:
        """A copy with other values."""
        return replace(self, **changes)


def _words(overrides: Mapping[str, Any]) -> list[str]:
    """Settings as parts of a name: their last word and the value."""
    found = []
    for key, value in overrides.items():
        word = value.get("_target_", "") if isinstance(value, Mapping) else value
        text = str(word).rsplit(".", 1)[-1] if isinstance(word, str) else f"{word:g}"
        found.append(f"{key.rsplit('#', 1)[-1].strip('_')}-{text}".replace(" ", ""))
    return found


_PLAIN, _OFF = "no_pretraining", "contrastive_weight_0"
_ALONE = (("uniform_sum", _OFF),)
_REMD = (("sgm",),)
# Rows of one modality, for data sets that have the OCT volume.
_OCT = "presets/oct_only"

UNIMODAL = Line(
    name="unimodal_*", title="*, alone", overlays=_ALONE, stage_one=1.0, column=("pretrain_*",), printed="baseline_*"
)
JOINT = Line(name="joint_loss", title="one joint loss", overlays=(("joint_loss", _PLAIN),), printed="baseline_fusion")
OGM_GE = Line(name="ogm_ge", title="OGM-GE", overlays=(("ogm_ge", _PLAIN),), printed="ogm_ge")
MMPARETO = Line(name="mmpareto", title="MMPareto", overlays=(("mmpareto", _PLAIN),), printed="mmpareto")
EYEMOST = Line(name="eyemost", title="EyeMoSt", overlays=(("eyemost",), ("eyemost", _PLAIN)), printed="eyemost")
EYEMOST_PLUS = Line(
    name="eyemost_plus",
    title="EyeMoSt+",
    overlays=(("eyemost_plus",), ("eyemost_plus", _PLAIN)),
    printed="eyemost_plus",
)
SAM = Line(name="sam", title="SAM", overlays=(("sam", _PLAIN),), printed="sam")
IMB_SAM = Line(name="imb_sam", title="ImbSAM", overlays=(("imb_sam", _PLAIN),), printed="imb_sam")
SSE_SAM = Line(name="sse_sam", title="SSE-SAM", overlays=(("sse_sam", _PLAIN),), printed="sse_sam")
EGVFI = Line(name="egvfi", title="EGVFI (OCT)", overlays=((_OCT, "egvfi"), (_OCT, "egvfi", _PLAIN)), printed="egvfi")
SF3D = Line(name="sf3d", title="after SF3D (OCT)", overlays=((_OCT, "sf3d"), (_OCT, "sf3d", _PLAIN)), printed="sf3d")
SIMCLR = Line(
    name="simclr",
    title="SimCLR",
    overlays=(("uniform_sum", "simclr"), ("joint_loss", "simclr")),
    printed="simclr",
)
_CONR = Line(name="conr", title="ConR", overlays=(("uniform_sum", "conr"),), printed="conr_fusion")
_ECHOMEN = Line(
    name="echomen", title="EchoMEN", overlays=(("echomen",), ("uniform_sum", "echomen")), printed="echomen_fusion"
)
_FULL = Line(name="remd", title="Re-M3Dr", overlays=_REMD, printed="remd_fusion", label="core")


def alone(line: Line, *, column: str = "pretrain_*") -> Line:
    """The single modalities of a method's own runs."""
    key = (line.printed or line.name).removesuffix("_fusion")
    return line.with_(name=f"{line.name}_*", title=f"{line.title}, * alone", column=(column,), printed=f"{key}_*")


CONR, CONR_ALONE = _CONR, alone(_CONR)
ECHOMEN, ECHOMEN_ALONE = _ECHOMEN, alone(_ECHOMEN, column="unimodal_*")
REMD, REMD_ALONE = _FULL, alone(_FULL)

UNIFORM = Line(name="uniform_sum", title="UniformSum, as many steps", overlays=(("uniform_sum", _PLAIN),), label="core")
STAGE1_OFF = Line(
    name="stage1_weight_0", title="stage 1 without contrast + UniformSum", overlays=(("uniform_sum", _OFF),)
)
STAGE1_AM = Line(name="am_uniform_sum", title="stage 1 (AM) + UniformSum", overlays=(("uniform_sum",),))
SGM_ALONE = Line(name="sgm_alone", title="SGM, without stage 1", overlays=(("sgm", _PLAIN),))
LATE = UNIMODAL.with_(name="late_average", title="late average", column=("late_average",), printed=None)
CONSTANT = Line(name="constant", title="constant", peer="constant")
RIDGE = Line(name="ridge", title="ridge on the numbers", peer="ridge")
BOOSTING = Line(name="gradient_boosting", title="gradient boosting on the numbers", peer="gradient_boosting")
CONTROLS = (UNIFORM, STAGE1_OFF, STAGE1_AM, SGM_ALONE, LATE, CONSTANT, RIDGE, BOOSTING)
