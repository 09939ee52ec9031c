"""Relative location of CT slices: 53,500 slices of 74 patients of the UCI repository, two histograms each.

`python -m data_prep.ct_slices --help` is the way to use it.
"""

from data_prep._release import Release
from data_prep.ct_slices._read import read

__all__ = ["RELEASE"]

RELEASE = Release(
    name="ct_slices",
    title="Relative location of CT slices",
    inputs="histograms of bone (240) and of air (144), and the relative location (0 to 180) as the target",
    cases="slices",
    source="slice_localization_data.csv, or the folder that holds it",
    layout="""\
SRC has the columns patientId, value0 to value383 (the first 240 of bone, the others of air) and reference. All slices
of a patient stay in one list.""",
    citation='Graf et al., "2D Image Registration in CT Images Using Radial Image Descriptors", MICCAI 2011',
    licence="CC BY 4.0 (UCI repository, dataset 206)",
    read=read,
    reasons={"patient_unreadable": ("the patientId is no whole number from 0 on", "look at the row")},
)
