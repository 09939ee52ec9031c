"""The stages of a run and which may follow which."""

from __future__ import annotations

from collections.abc import Sequence

from medmd.utils import MedmdError

STAGES = ("pretrain", "train", "evaluate")


def check_stages(asked: Sequence[str], *, begun: Sequence[str], finished: Sequence[str]) -> None:
    """Refuse stages whose result would not be what it is called.

    Args:
        asked: what to run now, some of `STAGES`.
        begun: stages of this run that were begun earlier.
        finished: those of them that are finished.

    Raises:
        MedmdError: an unknown stage or none; pretraining after training has begun; training from a pretraining that was
            broken off; an evaluation without a trained network.
    """
    unknown = [stage for stage in asked if stage not in STAGES]
    if unknown or not asked:
        msg = f"stages: expected some of {list(STAGES)}, got {list(asked)}."
        raise MedmdError(msg)
    if "pretrain" in asked and "pretrain" not in begun and "train" in begun:
        msg = (
            "stages: this run was trained without pretraining, which cannot be put before it now. Choose another "
            "--output_dir, or leave pretrain out."
        )
        raise MedmdError(msg)
    if "train" in asked and "pretrain" not in asked and "pretrain" in begun and "pretrain" not in finished:
        msg = "stages: the pretraining in this folder is not finished. Name pretrain too, and it goes on from there."
        raise MedmdError(msg)
    if "evaluate" in asked and "train" not in asked and "train" not in finished:
        msg = "stages: there is no trained network to evaluate. Name train too."
        raise MedmdError(msg)
