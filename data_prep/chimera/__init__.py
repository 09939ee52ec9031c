"""CHIMERA challenge, task 1: slides, MRI and clinical facts of men after removal of the prostate.

`python -m data_prep.chimera --help` is the way to use it. The challenge ranks by survival (C-index); its one number a
patient is a time, which is what a regression can be made of.
"""

from data_prep._release import Choice, Release
from data_prep.chimera._read import EVENT, TARGET, read

__all__ = ["RELEASE"]

RELEASE = Release(
    name="chimera",
    title="CHIMERA, task 1",
    inputs="features of slides and of the MRI, clinical facts, and the months to recurrence as the target",
    cases="patients",
    source="folder of the task",
    layout="""\
SRC holds a record a patient (1003.json or 1003_CD.json, in any folder), and the feature files that the organisers give:
1003_1.pt … (patches, features) below a folder pathology, 1003_0001_features.pt below a folder radiology, in capitals or
not. Of the slides the mean over all patches of a patient is taken. Slides and MRI themselves are not read. How many
feature files there are of each kind is printed, and how many .pt files are not used.

The challenge ranks by survival and has no regression task. Its one number is the time in months to the recurrence or,
without one (BCR = 0), to the last follow-up, which is no time of recurrence: such patients are left out, unless
--censored keep takes the follow-up as the target. --target and --event name other keys of the record.""",
    citation="CHIMERA challenge, MICCAI 2025",
    licence="see the challenge's pages; it was not read",
    read=read,
    choices=(
        Choice(name="target", help="key of the record that is the target, in months", default=TARGET),
        Choice(name="event", help="key that tells whether the target was reached (1) or censored (0)", default=EVENT),
        Choice(
            name="censored",
            help="what to do with patients whose target was not reached",
            default="drop",
            allowed=("drop", "keep"),
        ),
    ),
    reasons={
        "censored": ("no recurrence up to the last follow-up: the target is not known", "--censored keep takes it"),
        "event_unknown": ("the record does not tell whether the target was reached", "look at the record"),
    },
    harmless=frozenset({"censored"}),
)
