"""What the best predictor can reach, computed from the truth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from medmd.data.phantom._clinic import MdScale
from medmd.data.phantom._latent import Eye

FloatArray = npt.NDArray[np.float64]
_NODES = 96


def information_share(information: Iterable[float]) -> float:
    """Share of the severity's variance which several hidden summaries explain together.

    Their errors are independent, so precisions add: with q = sum of i / (1 - i), the share is q / (1 + q).
    """
    odds = sum(share / (1.0 - share) for share in information)
    return odds / (1.0 + odds)


def posterior_mean_md(
    summaries: Mapping[str, npt.ArrayLike], information: Mapping[str, float], scale: MdScale
) -> FloatArray:
    """Posterior mean of the MD given hidden summaries: the predictor with the least mean squared error.

    Severity and summaries are jointly normal, so the severity's posterior is normal; the mean of the MD over it is a
    Gauss-Hermite sum.

    Args:
        summaries: modality -> hidden summaries, all of one shape.
        information: modality -> squared correlation of its summary with the severity, in [0, 1).
        scale: MD in dB of a severity score.

    Returns:
        dB, shape of the summaries.
    """
    weights = {name: np.sqrt(information[name]) / (1.0 - information[name]) for name in summaries}
    precision = 1.0 + sum(information[name] / (1.0 - information[name]) for name in summaries)
    total = sum(weights[name] * np.asarray(value, dtype=np.float64) for name, value in summaries.items())
    mean = np.asarray(total, dtype=np.float64) / precision
    nodes, mass = np.polynomial.hermite_e.hermegauss(_NODES)
    values = scale(mean[..., None] + nodes / np.sqrt(precision))
    return (values * mass).sum(axis=-1) / mass.sum()


def reference_predictions(
    eyes: Sequence[Eye], information: Mapping[str, float], scale: MdScale
) -> list[dict[str, float]]:
    """Known truths of every eye in dB: `label_noise`, `information` and `information_<modality>` of what is present."""
    answers = [{"label_noise": round(eye.true_md, 4)} for eye in eyes]
    for name in information:
        having = [k for k, eye in enumerate(eyes) if name not in eye.missing]
        _add_posterior(answers, f"information_{name}", eyes, having, [name], information, scale)
    for present in {_present(eye) for eye in eyes}:
        having = [k for k, eye in enumerate(eyes) if _present(eye) == present]
        _add_posterior(answers, "information", eyes, having, present, information, scale)
    return answers


def ceilings(targets: Sequence[float], references: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Accuracy of every reference predictor on some eyes.

    Args:
        targets: measured MD in dB, one an eye.
        references: `reference_predictions` of the same eyes.

    Returns:
        predictor -> `eyes`, `r2` (absent below two eyes or without spread), `rmse` and `mae` in dB, over the eyes which
        have it.
    """
    names = sorted({name for reference in references for name in reference})
    answer = {}
    for name in names:
        pairs = [(target, ref[name]) for target, ref in zip(targets, references, strict=True) if name in ref]
        answer[name] = _accuracy(np.array(pairs))
    return answer


def _present(eye: Eye) -> tuple[str, ...]:
    return tuple(name for name in eye.summaries if name not in eye.missing)


def _add_posterior(
    answers: list[dict[str, float]],
    title: str,
    eyes: Sequence[Eye],
    having: Sequence[int],
    names: Sequence[str],
    information: Mapping[str, float],
    scale: MdScale,
) -> None:
    """Add the posterior mean from the summaries `names` to the answers of the eyes numbered in `having`."""
    summaries = {name: np.array([eyes[k].summaries[name] for k in having]) for name in names}
    for k, value in zip(having, posterior_mean_md(summaries, information, scale), strict=True):
        answers[k][title] = round(float(value), 4)


def _accuracy(pairs: FloatArray) -> dict[str, float]:
    target, prediction = pairs.T
    error = target - prediction
    spread = ((target - target.mean()) ** 2).sum()
    answer = {"eyes": len(target), "rmse": np.sqrt((error**2).mean()), "mae": np.abs(error).mean()}
    if spread > 0:
        answer["r2"] = 1.0 - (error**2).sum() / spread
    return {name: int(value) if name == "eyes" else round(float(value), 4) for name, value in answer.items()}
