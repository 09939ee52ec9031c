"""SGM: sharpness-aware gradient modulation, stage 2 of Re-M3Dr."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from medmd.balancing._balancer import BalancedModel, Balancer, Closure
from medmd.balancing._checks import check_choice, check_count, check_finite, check_interval, check_positive
from medmd.balancing._conflict import Conflict
from medmd.balancing._gradients import Gradients, Parameters, TwoObjectives
from medmd.balancing._probing import ForwardState
from medmd.balancing._rescale import NORMS, length_ratios
from medmd.balancing._shared import SharedGradients
from medmd.balancing._sharpness import SHARPNESS, Probe, measure
from medmd.balancing._window import SharpnessWindow


class SGM(Balancer):
    """Fused and unimodal gradients are weighed where they conflict, and lengthened where the loss is steep.

    Source: Yin et al., Re-M3Dr: Rebalanced MultiModal Mean Deviation Regression, section 4.2. With g_mm and g_uni the
    gradients of the fused loss and of the sum of unimodal losses on the encoders and g_base their sum: sharpness
    s = L(w + D) - L(w - D), D = rho g_base / |g_base|; gamma = gamma_base * s / median of the last s, clipped; where
    cos(g_mm, g_uni) < 0 the min-norm weights, else 1/2 each; each encoder tensor becomes
    gamma * |g_base,i| / |g_i| * g_i with g_i = 2 a g_mm,i + 2 (1 - a) g_uni,i. Heads keep the plain gradient.

    The cost is one forward pass, one backward pass for the fused loss, one for the sum of the unimodal losses and the
    probes; |g_base| and g_base itself come for free. Under autocast every sharpness but
    `grad_norm` makes one probe more, of the loss where the weights are (`paper` for the logged `curvature` alone). What
    the text leaves open is an argument.

    Notes on the method: s is 2 rho |g_base| to the second order and holds no curvature (`sharpness="grad_norm"` gives
    the same gamma without a probe). Matching lengths tensor by tensor does change the direction (`norm="global"` does
    not). An optimiser that divides by the gradient's own size (Adam) cancels the constant part of gamma
    (`apply="update"` does not).

    Args:
        rho: radius of the probe, above 0.
        steps: moves of rho / steps to get there, each along the gradient where it starts, at least 1.
        gamma_base: factor of the encoders' gradients at the median sharpness, above 0.
        ratio_clip: bounds of s / median.
        ratio_power: gamma = gamma_base * (clipped s / median) ** ratio_power. 1 is the paper's; -1 shortens the steps
            where the loss is steep, which is what the stability condition of its Proposition 2 asks for; 0 keeps gamma
            constant.
        window: how many s the median is taken of, at least 1.
        window_warmup: the ratio is 1 for so many s.
        sharpness: `paper`, `grad_norm`, `curvature`, `curvature_1p` or `sam_max`. A negative curvature counts as 0.
        adaptive: scale the probe's move by the weights (ASAM; rho is then about ten times as large).
        probe_every: measure s every so many steps and keep gamma in between.
        cosine: `global` over all encoders or by `encoder`.
        norm: whose length is matched: `per_tensor`, `global`, `encoder`, `mmpareto` (per tensor, never shortened).
        ratio_cap: upper bound of |g_base,i| / |g_i|, or None.
        unimodal_weights: factor of each unimodal loss by modality, 1 by default.
        apply: `gradient` multiplies the gradients by gamma; `update` leaves that to the caller, who multiplies the
            encoders' learning rate of this step by the returned `update_scale`.
        perturb: `all` trainable parameters are moved in a probe, or the `shared` ones only.
        eps: guards every division, above 0.

    Raises:
        ValueError: an argument is outside its range.
    """

    def __init__(
        self,
        *,
        rho: float = 0.05,
        steps: int = 1,
        gamma_base: float = 1.5,
        ratio_clip: Sequence[float] = (1 / 3, 3.0),
        ratio_power: float = 1.0,
        window: int = 50,
        window_warmup: int = 10,
        sharpness: str = "paper",
        adaptive: bool = False,
        probe_every: int = 1,
        cosine: str = "global",
        norm: str = "per_tensor",
        ratio_cap: float | None = 10.0,
        unimodal_weights: Mapping[str, float] | None = None,
        apply: str = "gradient",
        perturb: str = "all",
        eps: float = 1e-12,
    ) -> None:
        super().__init__()
        self.rho = check_positive("rho", rho)
        self.steps = check_count("steps", steps, low=1)
        self.gamma_base = check_positive("gamma_base", gamma_base)
        self.ratio_clip = check_interval("ratio_clip", ratio_clip)
        self.ratio_power = check_finite("ratio_power", ratio_power)
        self.sharpness = check_choice("sharpness", sharpness, SHARPNESS)
        self.adaptive = adaptive
        self.probe_every = check_count("probe_every", probe_every, low=1)
        self.cosine = check_choice("cosine", cosine, ("global", "encoder"))
        self.norm = check_choice("norm", norm, NORMS)
        self.ratio_cap = None if ratio_cap is None else check_positive("ratio_cap", ratio_cap)
        self.unimodal_weights = dict(unimodal_weights or {})
        self.apply = check_choice("apply", apply, ("gradient", "update"))
        self.perturb = check_choice("perturb", perturb, ("all", "shared"))
        self.eps = check_positive("eps", eps)
        if steps > 1 and sharpness in ("grad_norm", "curvature_1p"):
            msg = f"steps: expected 1 with sharpness={sharpness!r}, which has no path to follow; got {steps}."
            raise ValueError(msg)
        size = check_count("window", window, low=1)
        self._window = SharpnessWindow(size=size, warmup=check_count("window_warmup", window_warmup, low=0), eps=eps)
        self._iteration = 0
        self._last: dict[str, Tensor] = {}

    def backward(self, model: BalancedModel, closure: Closure, *more_closures: Closure) -> dict[str, Tensor]:
        """One SGM step up to the optimiser.

        Logs beside the losses `gamma`, `sharpness`, `cosine`, `alpha_fusion`, `conflict` (0 or 1; the share of
        encoders for `cosine="encoder"`, which adds the three by encoder), `gradient_norm` (|g_base| as the probe uses
        it: |w g| for `adaptive`, the encoders' part alone for `perturb="shared"`), `ratio_max` and `ratio_capped`
        (largest length ratio, share of tensors at the cap), `sharpness_skipped` (values that were not finite so far),
        `curvature` where both probes were made, and `update_scale` for `apply="update"`.
        """
        closures = (closure, *more_closures)
        parameters = Parameters.of(model)
        probes = self._iteration % self.probe_every == 0
        before = ForwardState.capture(model) if probes and self.sharpness != "grad_norm" else None
        narrow = torch.is_autocast_enabled(parameters.device.type)
        found = TwoObjectives.compute(closures, parameters, self.unimodal_weights, self.reduce)
        with torch.autocast(parameters.device.type, enabled=False):
            with torch.no_grad():
                shared = SharedGradients.of(parameters, found)
            base = found.base(shared.places, shared.sums)
            if probes:
                probe = self._probe(model, closures, before, parameters, base)
                self._measure(probe, None if narrow else found.values["loss"])
            with torch.no_grad():
                log = self._modulate(shared, base) if shared.places else {}
            parameters.write(base)
        self._iteration += 1
        return {**found.values, **self._last, **log}

    def state_dict(self) -> dict[str, Any]:
        """Iteration, window and the last measurement."""
        last = {name: value.clone() for name, value in self._last.items()}
        return {"iteration": self._iteration, "window": self._window.state_dict(), "last": last}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` gave.

        Raises:
            ValueError: the keys or the size of the window differ.
        """
        self._check_keys(state, ("iteration", "window", "last"))
        self._window.load_state_dict(state["window"])
        self._iteration = int(state["iteration"])
        self._last = {name: value.clone() for name, value in state["last"].items()}

    def _probe(
        self,
        model: BalancedModel,
        closures: Sequence[Closure],
        before: ForwardState | None,
        parameters: Parameters,
        base: Gradients,
    ) -> Probe:
        chosen = parameters.shared if self.perturb == "shared" else range(len(parameters.trainable))
        # What nothing reaches does not move.
        moved = [(parameters.trainable[place], base[place]) for place in chosen]
        pairs = [(parameter, gradient) for parameter, gradient in moved if gradient is not None]
        return Probe(
            model=model,
            closures=closures,
            before=before,
            parameters=[parameter for parameter, _ in pairs],
            gradients=[gradient for _, gradient in pairs],
            weights=self.unimodal_weights,
            rho=self.rho,
            steps=self.steps,
            adaptive=self.adaptive,
            eps=self.eps,
            reduce=self.reduce,
        )

    def _measure(self, probe: Probe, centre: Tensor | None) -> None:
        found = measure(self.sharpness, probe, centre)
        value = found.value.clamp(min=0) if self.sharpness.startswith("curvature") else found.value
        ratio = self._window.ratio(value).clamp(*self.ratio_clip)
        self._last = {
            "gamma": self.gamma_base * ratio**self.ratio_power,
            "sharpness": found.value,
            "sharpness_skipped": self._window.skipped.to(ratio.dtype),
            **found.further,
        }

    def _modulate(self, shared: SharedGradients, base: Gradients) -> dict[str, Tensor]:
        """Replace the encoders' part of `base`; say what was done."""
        by_encoder = self.cosine == "encoder"
        conflict = Conflict.measure(shared, shared.sizes if by_encoder else [len(shared.places)])
        lengths = shared.mix(conflict.weights())
        ratios = length_ratios(shared, lengths, norm=self.norm, eps=self.eps, cap=self.ratio_cap)
        gamma = self._last["gamma"].to(ratios)
        factors = ratios * gamma if self.apply == "gradient" else ratios
        for place, gradient in zip(shared.places, shared.scaled(factors), strict=True):
            base[place] = gradient
        log = conflict.log(shared.names if by_encoder else ())
        log["ratio_max"] = ratios.max()
        if self.ratio_cap is not None:
            log["ratio_capped"] = (ratios >= self.ratio_cap).to(ratios.dtype).mean()
        return log if self.apply == "gradient" else {**log, "update_scale": gamma}
