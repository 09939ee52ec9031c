"""Which visual fields may be used, by pattern, strategy, reliability and MD."""

from __future__ import annotations

import math

from data_prep.hospital._facts import Examination
from data_prep.hospital._site import SiteConfig

RELIABLE = "reliable"
MANY_FIXATION_LOSSES = "fixation-losses-high"
UNKNOWN = "unknown"


def field_reason(field: Examination, site: SiteConfig) -> str | None:
    """Why a visual field is left out, or None.

    The default limits follow the evidence on 10,262 fields by Yohannan et al.: false positives change MD most,
    fixation losses hardly at all, and false negatives grow with damage, so that a tight limit removes damaged eyes.
    """
    rules = site.visual_field
    if field.md is None or math.isnan(field.md):
        return "md-missing"
    if not rules.md_range[0] <= field.md <= rules.md_range[1]:
        return "md-out-of-range"
    if (field.pattern or "unknown") not in rules.patterns:
        return "pattern-not-accepted"
    if (field.strategy or "unknown") in rules.excluded_strategies:
        return "strategy-excluded"
    return _reliability_reason(field, site)


def reliability(field: Examination, site: SiteConfig) -> str:
    """`unknown` when false positives or negatives are not known, else `fixation-losses-high` or `reliable`."""
    if field.false_positives is None or field.false_negatives is None:
        return UNKNOWN
    return MANY_FIXATION_LOSSES if _loses_fixation(field, site) else RELIABLE


def _reliability_reason(field: Examination, site: SiteConfig) -> str | None:
    rules = site.visual_field
    if field.false_positives is not None and field.false_positives > rules.max_false_positives:
        return "false-positives-high"
    if field.false_negatives is not None and field.false_negatives > rules.max_false_negatives:
        return "false-negatives-high"
    if not rules.strict:
        return None
    if _loses_fixation(field, site):
        return "fixation-losses-high"
    return "reliability-unknown" if reliability(field, site) == UNKNOWN else None


def _loses_fixation(field: Examination, site: SiteConfig) -> bool:
    return field.fixation_losses is not None and field.fixation_losses > site.visual_field.warn_fixation_losses
