"""What is measured of the pixels, and the thresholds of the site file on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data_prep.hospital._facts import Examination
from data_prep.hospital._quality_photo import measure_photo
from data_prep.hospital._quality_volume import measure_volume
from data_prep.hospital._site import SiteConfig

__all__ = ["judge", "measure_photo", "measure_volume"]

# Measure, threshold, whether it is the least that is allowed, reason. The first that fails is told.
_VOLUME = (
    ("blank_slices", "max_blank_slices", False, "slices-blank"),
    ("truncated_slices", "max_truncated_slices", False, "slices-truncated"),
    ("saturated", "max_saturated_volume", False, "volume-saturated"),
    ("contrast", "min_volume_contrast", True, "volume-contrast-low"),
    ("slice_similarity", "min_slice_similarity", True, "slices-unlike"),
)
_PHOTO = (
    ("dark", "max_dark_photo", False, "photo-dark"),
    ("saturated", "max_saturated_photo", False, "photo-saturated"),
    ("colourfulness", "min_colourfulness", True, "photo-grey"),
    ("evenness", "min_evenness", True, "photo-uneven"),
    ("sharpness", "min_sharpness", True, "photo-blurred"),
)


def judge(examination: Examination, site: SiteConfig) -> str | None:
    """Why an image is left out for what it is or for its quality, or None. Visual fields are not judged here.

    A measure that an examination lacks is not held against it.
    """
    if examination.kind == "oct":
        return _judge_volume(examination, site)
    return _judge_photo(examination, site) if examination.kind == "fundus" else None


def _judge_volume(volume: Examination, site: SiteConfig) -> str | None:
    rules = site.oct
    if (volume.region or "unknown") not in rules.regions:
        return "region-not-accepted"
    if (volume.scan_pattern or "unknown") not in rules.scan_patterns:
        return "scan-pattern-not-accepted"
    if volume.shape and volume.shape[0] < rules.min_slices:
        return "too-few-slices"
    least = _least_signal(volume, site)
    if volume.signal is not None and least is not None and volume.signal < least:
        return "signal-low"
    return _first_failure(volume.quality, _VOLUME, site.quality)


def _judge_photo(photo: Examination, site: SiteConfig) -> str | None:
    if photo.field_of_view is not None and photo.field_of_view > site.fundus.max_field_of_view:
        return "field-too-wide"
    if (photo.region or "unknown") not in site.fundus.regions:
        return "region-not-accepted"
    if site.quality.circle_required and photo.quality.get("circle_found") == 0:
        return "no-circle"
    return _first_failure(photo.quality, _PHOTO, site.quality)


def _least_signal(volume: Examination, site: SiteConfig) -> float | None:
    makers = [maker for maker in site.oct.min_signal_of if (volume.device or "").startswith(maker)]
    return site.oct.min_signal_of[makers[0]] if makers else site.oct.min_signal


def _first_failure(measured: Mapping[str, float], checks: Any, thresholds: Any) -> str | None:
    for name, threshold, is_least, reason in checks:
        value, limit = measured.get(name), getattr(thresholds, threshold)
        if value is not None and (value < limit if is_least else value > limit):
            return str(reason)
    return None
