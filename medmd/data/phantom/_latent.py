"""The hidden truth of every synthetic eye: its damage map, what each modality is told of it, and its MD."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medmd.data.phantom._clinic import MD_RANGE, UWHVF_EYE_CORRELATION, MdScale, noise_sd
from medmd.utils import derive_seed

FloatArray = npt.NDArray[np.float64]
MODALITIES = ("oct", "fundus")

# Sectors of the damage map by the angle at which their nerve fibres leave the disc (see _anatomy): inferior outer,
# inferior arcuate, inferior papillomacular, then superior papillomacular, arcuate, outer. Arcuate fibres weigh most in
# a 24-2 field.
SECTOR_WEIGHTS = np.array([0.15, 0.19, 0.16, 0.16, 0.19, 0.15])
_PATTERN_SD = 0.7
# Pearson correlation of normal scores whose rank correlation is r: 2 sin(pi r / 6).
_EYE_CORRELATION = 2.0 * np.sin(np.pi * UWHVF_EYE_CORRELATION / 6.0)
# Mean and SD of the age in the clinic's rows.
_AGE_MEAN, _AGE_SD = 62.2, 14.2


@dataclass(frozen=True, kw_only=True)
class Eye:
    """One synthetic eye.

    Args:
        seed: of the cohort.
        patient: number of the patient, from 0.
        laterality: `R` or `L`.
        age: years.
        sex: `F` or `M`.
        device: one of two make-believe scanners, which differ in gain and contrast.
        severity: the weighted mean of the damage map, standard normal over the cohort; high is damaged.
        pattern: (6,) the damage map less its severity: where the damage sits. Its weighted mean is 0.
        summaries: modality -> the severity that this modality shows (its hidden summary), standard normal.
        true_md: dB.
        measured_md: dB, with the noise of one field, rounded to 0.01 dB; the label.
        missing: modalities that were not taken.
        days: modality -> days between it and the visual field.
    """

    seed: int
    patient: int
    laterality: str
    age: float
    sex: str
    device: str
    severity: float
    pattern: FloatArray
    summaries: Mapping[str, float]
    true_md: float
    measured_md: float
    missing: tuple[str, ...]
    days: Mapping[str, int]

    @property
    def patient_id(self) -> str:
        """Pseudonym of the patient."""
        return f"p{self.patient:05d}"

    @property
    def case_id(self) -> str:
        """Pseudonym of the eye."""
        return f"{self.patient_id}-{self.laterality}"

    @property
    def damage(self) -> FloatArray:
        """The hidden damage map, (6,) sectors, in standard deviations of severity."""
        return self.pattern + self.severity

    def shown(self, modality: str) -> FloatArray:
        """The damage map that `modality` is rendered from, (6,): the pattern about its own hidden summary."""
        return self.pattern + self.summaries[modality]

    def stream(self, purpose: str) -> np.random.Generator:
        """Random numbers for one purpose, independent of every other eye and purpose."""
        return np.random.default_rng(derive_seed(self.seed, purpose, self.patient, self.laterality))


def draw_eyes(
    n: int,
    seed: int,
    *,
    information: Mapping[str, float],
    scale: MdScale,
    both_eyes: float,
    missing: Mapping[str, float],
) -> tuple[Eye, ...]:
    """Draw `n` eyes, patient after patient; eye k is the same in a larger cohort."""
    eyes: list[Eye] = []
    patient = 0
    while len(eyes) < n:
        drawn = _draw_patient(patient, seed, information, scale, both_eyes, missing)
        eyes.extend(drawn)
        patient += 1
    return tuple(eyes[:n])


def _draw_patient(
    patient: int,
    seed: int,
    information: Mapping[str, float],
    scale: MdScale,
    both_eyes: float,
    missing: Mapping[str, float],
) -> Iterator[Eye]:
    rng = np.random.default_rng(derive_seed(seed, "patient", patient))
    shared = rng.standard_normal()
    age = float(np.round(np.clip(rng.normal(_AGE_MEAN, _AGE_SD), 18.0, 89.0), 1))
    sex = "F" if rng.random() < 0.54 else "M"
    device = "phantom-a" if rng.random() < 0.6 else "phantom-b"
    first = "R" if rng.random() < 0.5 else "L"
    lateralities = ("R", "L") if rng.random() < both_eyes else (first,)
    for laterality in lateralities:
        stream = np.random.default_rng(derive_seed(seed, "eye", patient, laterality))
        own = stream.standard_normal()
        severity = float(np.sqrt(_EYE_CORRELATION) * shared + np.sqrt(1.0 - _EYE_CORRELATION) * own)
        true_md = float(scale(severity))
        measured = float(np.clip(true_md + noise_sd(true_md) * stream.standard_normal(), *MD_RANGE))
        yield Eye(
            seed=seed,
            patient=patient,
            laterality=laterality,
            age=age,
            sex=sex,
            device=device,
            severity=severity,
            pattern=_draw_pattern(stream),
            summaries=_draw_summaries(stream, severity, information),
            true_md=true_md,
            measured_md=round(measured, 2),
            missing=_draw_missing(stream, missing),
            days={name: int(stream.integers(0, 90)) for name in MODALITIES},
        )


def _draw_pattern(rng: np.random.Generator) -> FloatArray:
    """Where the damage sits, independent of how much there is: halves differ more than neighbours."""
    hemifield = np.repeat(rng.standard_normal(2), 3)
    pattern = np.sqrt(0.6) * hemifield + np.sqrt(0.4) * rng.standard_normal(6)
    return _PATTERN_SD * (pattern - (SECTOR_WEIGHTS * pattern).sum())


def _draw_summaries(rng: np.random.Generator, severity: float, information: Mapping[str, float]) -> dict[str, float]:
    """Squared correlation with the severity = the modality's information; errors independent between modalities."""
    noise = rng.standard_normal(len(MODALITIES))
    return {
        name: float(np.sqrt(information[name]) * severity + np.sqrt(1.0 - information[name]) * noise[k])
        for k, name in enumerate(MODALITIES)
    }


def _draw_missing(rng: np.random.Generator, missing: Mapping[str, float]) -> tuple[str, ...]:
    """Modalities that were not taken; an eye without any is no case, so the first one then stays."""
    chance = rng.random(len(MODALITIES))
    absent = tuple(name for k, name in enumerate(MODALITIES) if chance[k] < missing.get(name, 0.0))
    return absent[1:] if len(absent) == len(MODALITIES) else absent
