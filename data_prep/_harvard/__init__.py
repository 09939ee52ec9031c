"""What the releases of the Harvard Ophthalmology AI Lab have in common: one `.npz` a patient, numbers beside images."""

from data_prep._harvard._command import build_parser, run
from data_prep._harvard._convert import Options, convert
from data_prep._harvard._release import Release

__all__ = ["Options", "Release", "build_parser", "convert", "run"]
