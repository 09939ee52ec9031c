"""The sections of the site file: every setting with its default, what it means and what it may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from data_prep._split import SplitOptions
from data_prep.hospital._site_values import (
    choice,
    flag,
    named,
    number,
    or_none,
    setting,
    some_of,
    span,
    text,
    translation,
    whole,
)

IMAGES = ("oct", "fundus")
REGIONS = ("macula", "disc", "unknown")
PATTERNS = ("24-2", "24-2C", "30-2", "10-2", "60-4", "unknown")
STRATEGIES = ("sita-standard", "sita-fast", "sita-faster", "sita-swap", "full-threshold", "unknown")
SCAN_PATTERNS = ("raster", "radial", "circle", "line", "unknown")
TIES = ("not-later", "region", "signal", "quality")
CONVENTIONS = ("hfa", "octopus")

# Our names of the columns, and which of them a table cannot do without.
FIELD_COLUMNS = (
    "patient", "laterality", "date", "md", "psd", "vfi", "pattern", "strategy", "fixation_losses", "false_positives",
    "false_negatives", "age", "birth_date", "sex",
)  # fmt: skip
IMAGE_COLUMNS = (
    "file", "patient", "laterality", "date", "kind", "region", "scan_pattern", "signal", "field_of_view", "age",
    "birth_date", "sex",
)  # fmt: skip
NEEDED_COLUMNS = {
    "visual_fields": ("patient", "laterality", "date", "md"),
    "images": ("file", "patient", "laterality", "date"),
}
SHARES = ("fixation_losses", "false_positives", "false_negatives")
COLUMNS = tuple(dict.fromkeys(FIELD_COLUMNS + IMAGE_COLUMNS))
# Columns whose cells are words, and the words that we use for them.
WORDS: Mapping[str, tuple[str, ...]] = {
    "laterality": ("R", "L"),
    "sex": ("F", "M", "O"),
    "pattern": PATTERNS[:-1],
    "strategy": STRATEGIES[:-1],
    "kind": IMAGES,
    "region": REGIONS[:-1],
    "scan_pattern": SCAN_PATTERNS[:-1],
}


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Which images go into the datalist."""

    wanted: tuple[str, ...] = setting(IMAGES, "Kinds of images to convert.", some_of(*IMAGES, least=1))
    required: tuple[str, ...] = setting(
        (),
        "Kinds without which a visual field is left out. Of the wanted kinds one is always needed.",
        some_of(*IMAGES),
    )


@dataclass(frozen=True, kw_only=True)
class PairingRules:
    """Which images belong to which visual field."""

    window_days: int = setting(
        180, "Greatest distance in days between a visual field and an image of the same eye.", whole(0, 3650)
    )
    ties: tuple[str, ...] = setting(
        TIES,
        "What decides, in this order, among images equally near: not after the visual field, the region that stands "
        "first in `regions`, the device's signal value, the measured sharpness or contrast. Then the name decides.",
        some_of(*TIES),
    )
    per_eye: str = setting("all", "Which visual fields of an eye are kept.", choice("all", "latest", "first"))
    one_field_per_scan: bool = setting(True, "Whether an image serves one visual field at most.", flag())


@dataclass(frozen=True, kw_only=True)
class FieldRules:
    """Which visual fields are used."""

    patterns: tuple[str, ...] = setting(
        ("24-2", "24-2C"),
        "Accepted test patterns. The MD of 30-2 and of 10-2 is not the same quantity.",
        some_of(*PATTERNS, least=1),
    )
    excluded_strategies: tuple[str, ...] = setting(
        ("sita-swap",), "Strategies that are left out; SWAP tests with blue on yellow.", some_of(*STRATEGIES)
    )
    max_false_positives: float = setting(
        0.15, "Share of false positive answers above which a field is left out.", number(0, 1)
    )
    max_false_negatives: float = setting(
        0.33,
        "Share of false negative answers above which a field is left out. A tight limit removes damaged eyes.",
        number(0, 1),
    )
    warn_fixation_losses: float = setting(
        0.33, "Share of fixation losses above which a field is marked, or with `strict` left out.", number(0, 1)
    )
    strict: bool = setting(
        False,
        "Whether fields without known false positives and negatives, or with many fixation losses, are left out.",
        flag(),
    )
    md_range: tuple[float, float] = setting((-40.0, 6.0), "Possible MD in dB; others are left out.", span(-40, 6))
    md_convention: str = setting(
        "hfa",
        "Sign of MD in files and tables that do not say: `hfa` negative for loss, `octopus` positive.",
        choice(*CONVENTIONS),
    )


@dataclass(frozen=True, kw_only=True)
class OctRules:
    """Which OCT volumes are used."""

    regions: tuple[str, ...] = setting(REGIONS, "Accepted regions, the preferred first.", some_of(*REGIONS, least=1))
    scan_patterns: tuple[str, ...] = setting(
        ("raster", "unknown"), "Accepted scan patterns.", some_of(*SCAN_PATTERNS, least=1)
    )
    min_slices: int = setting(16, "Fewest slices of a volume.", whole(1, 100_000))
    min_signal: float | None = setting(
        None, "Smallest signal value that the device gives; volumes without one are kept.", or_none(number())
    )
    min_signal_of: Mapping[str, float] = setting(
        {},
        "The same for devices whose name begins with a word, such as `zeiss: 6`; the units differ.",
        named(
            ("heidelberg", "zeiss", "topcon", "nidek", "optovue", "canon"),
            number(),
            expected="a mapping of makers to numbers",
        ),
    )


@dataclass(frozen=True, kw_only=True)
class FundusRules:
    """Which photographs are used."""

    max_field_of_view: float = setting(
        60.0, "Widest field in degrees; wider ones are another kind of image.", number(1, 360)
    )
    regions: tuple[str, ...] = setting(REGIONS, "Accepted regions, the preferred first.", some_of(*REGIONS, least=1))


@dataclass(frozen=True, kw_only=True)
class QualityRules:
    """Thresholds on what is measured of the pixels."""

    max_blank_slices: float = setting(0.05, "Share of even slices of a volume.", number(0, 1))
    max_truncated_slices: float = setting(0.1, "Share of slices whose lower end is missing.", number(0, 1))
    max_saturated_volume: float = setting(0.05, "Share of voxels at the upper end of the scale.", number(0, 1))
    min_volume_contrast: float = setting(0.1, "Bright end minus median, as a share of the scale.", number(0, 1))
    min_slice_similarity: float = setting(
        0.2, "Median correlation of neighbouring slices; noise and scrambled frames have none.", number(-1, 1)
    )
    max_saturated_photo: float = setting(0.2, "Share of the field that is overexposed.", number(0, 1))
    max_dark_photo: float = setting(0.5, "Share of the field that is nearly black.", number(0, 1))
    min_evenness: float = setting(0.1, "Dark part of the field relative to its bright part.", number(0, 1))
    min_sharpness: float = setting(0.004, "Fine detail relative to brightness.", number(0, 10))
    min_colourfulness: float = setting(5.0, "Spread of the colours; grey photographs have none.", number(0, 200))
    circle_required: bool = setting(False, "Whether a photograph must show the round field of the camera.", flag())


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of visual fields, or of facts on images that carry none."""

    file: str = setting("", "Pattern of the file's place below SRC, such as `tables/*.csv`.", text())
    kind: str = setting("", "What a row is.", choice("visual_fields", "images"))
    columns: Mapping[str, str] = setting(
        {},
        "Our name of a column -> its header in the table. Visual fields need `patient`, `laterality`, `date` and `md`; "
        "images need `file` instead of `md`.",
        named(COLUMNS, text(), expected="a mapping of our column names to headers"),
    )
    constants: Mapping[str, str] = setting(
        {},
        "Our name of a column that the table lacks -> the word that holds for every row, such as `pattern: 24-2`.",
        named(tuple(WORDS), text(), expected="a mapping of our column names to words"),
    )
    values: Mapping[str, Mapping[str, str]] = setting(
        {},
        "Our name of a column -> what stands in its cells -> our word, such as `laterality: {1: R, 2: L}`. "
        "Common words in English, German, French and Spanish are known.",
        named(tuple(WORDS), translation(), expected="a mapping of our column names to mappings"),
    )
    date_format: str | None = setting(
        None,
        "How dates are written, in the notation of Python's `strptime`, such as `%d.%m.%Y`, or `excel` for day "
        "numbers. Without it: Excel's dates, 2021-12-31 and 20211231.",
        or_none(text()),
    )
    md_convention: str | None = setting(
        None, "Sign of MD in this table; else that of `visual_field`.", or_none(choice(*CONVENTIONS))
    )
    reliability_unit: str | None = setting(
        None,
        "Whether plain numbers of fixation losses, false positives and negatives are per cent or fractions. `12 %` and "
        "`1/14` speak for themselves.",
        or_none(choice("percent", "fraction")),
    )
    patient_digits: int | None = setting(
        None,
        "Number of digits of a patient's number, where a spreadsheet dropped leading zeros.",
        or_none(whole(1, 64)),
    )
    sheet: str | None = setting(None, "Sheet of an Excel workbook; else the first.", or_none(text()))
    header_row: int = setting(1, "Row that holds the headers, from 1.", whole(1, 1000))


@dataclass(frozen=True, kw_only=True)
class Split:
    """How patients are split; see the options of the same names of the other converters."""

    test_fraction: float = setting(0.2, "Share to test on.", number(0, 1))
    validation_fraction: float = setting(0.1, "Share to validate on.", number(0, 1))
    seed: int = setting(0, "Chooses among equally good splits.", whole(0, 2**31))
    folds: int | None = setting(None, "Folds instead of fractions; needs `fold`.", or_none(whole(2, 1000)))
    fold: int | None = setting(None, "The fold to write, from 0.", or_none(whole(0, 999)))
    unsplit: bool = setting(False, "Write one list, split by later steps.", flag())

    def options(self) -> SplitOptions:
        """As the other converters have them."""
        return SplitOptions(
            test_fraction=self.test_fraction,
            validation_fraction=self.validation_fraction,
            seed=self.seed,
            folds=self.folds,
            fold=self.fold,
            unsplit=self.unsplit,
        )


SECTIONS: Mapping[str, Any] = {
    "inputs": Inputs,
    "pairing": PairingRules,
    "visual_field": FieldRules,
    "oct": OctRules,
    "fundus": FundusRules,
    "quality": QualityRules,
    "tables": Table,
    "split": Split,
}
