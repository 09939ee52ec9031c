"""Synthetic eyes whose truth is known: the embedded default data set and the yardstick for every method.

A hidden damage map drives an OCT volume, a fundus photograph and the Mean Deviation. How much of it each modality shows
and how long the tail of damaged eyes is are arguments; the best that any network can reach is computed, not guessed.
"""

from medmd.data.phantom._cohort import GENERATOR_VERSION, PhantomCohort
from medmd.data.phantom._latent import Eye

__all__ = ["GENERATOR_VERSION", "Eye", "PhantomCohort"]
