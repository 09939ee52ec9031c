"""Patients dealt to training, validation and testing so that each part sees the whole range of severity."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from medmd.data.phantom._latent import Eye
from medmd.utils import derive_seed


def split_patients(eyes: Sequence[Eye], fractions: Mapping[str, float], seed: int) -> list[str]:
    """The split of every eye; the eyes of a patient stay together.

    Patients are taken from the most to the least damaged; each goes to the split that lacks most eyes for its share so
    far, chance breaking near ties, so that no split has to do without the tail.

    Args:
        eyes: the cohort.
        fractions: split -> share of the eyes, summing to 1.
        seed: of the cohort.
    """
    worst: dict[int, float] = defaultdict(lambda: np.inf)
    count: dict[int, int] = defaultdict(int)
    for eye in eyes:
        worst[eye.patient] = min(worst[eye.patient], eye.measured_md)
        count[eye.patient] += 1
    rng = np.random.default_rng(derive_seed(seed, "split"))
    given = dict.fromkeys(fractions, 0)
    home = {}
    for patient in sorted(worst, key=lambda patient: (worst[patient], patient)):
        seen = sum(given.values()) + count[patient]
        lack = {name: share * seen - given[name] + rng.uniform(0.0, 0.9) for name, share in fractions.items() if share}
        home[patient] = max(lack, key=lambda name: lack[name])
        given[home[patient]] += count[patient]
    return [home[eye.patient] for eye in eyes]
