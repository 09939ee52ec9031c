"""Why something is set aside, in words, and what to do about it."""

from __future__ import annotations

_WHY_AND_FIX = {
    "no_visual_field": (
        "no VF_MD: the release tested glaucoma patients and suspects with a high pressure only",
        "nothing: without an MD there is nothing to learn",
    ),
    "label_unreadable": ("VF_MD is a text that is no number", "look at the row's VF_MD"),
    "label_out_of_range": (
        "VF_MD is no possible MD, such as a placeholder 99 or -999",
        "look at the row: MD is negative for loss, from -40 to 6 dB",
    ),
    "row_twice": ("the sheet has two rows for the eye", "keep the right row"),
    "row_without_id": ("a row of a sheet without a patient's number", "write the number, or remove the row"),
    "row_absent": ("a photograph of an eye that no sheet lists", "look whether the sheets are whole"),
    "photograph_absent": ("listed in a sheet, but without a photograph", "unpack the archive again"),
    "photograph_twice": ("the eye has several photographs", "keep the one that is meant"),
    "photograph_unreadable": ("the photograph cannot be read", "unpack the archive again; it may be damaged"),
    "photograph_of_two_eyes": (
        "the same photograph lies there for two eyes: whose it is cannot be told",
        "find out which eye it shows and remove the other",
    ),
    "eye_set_aside": ("belongs to an eye that is set aside", "see the eye's reason"),
    "eye_without_field": ("belongs to an eye without an MD", "nothing"),
    "beyond_limit": ("not asked for: beyond --limit", "leave --limit out for all patients"),
    "not_of_the_release": ("a file among the photographs that the release does not have", "nothing, if you know it"),
    "not_needed": ("contours, examples and documents, which are not converted", "nothing"),
    "system_file": ("written by an operating system or office program", "nothing"),
}
REASONS = {reason: why for reason, (why, _) in _WHY_AND_FIX.items()}
FIXES = {reason: fix for reason, (_, fix) in _WHY_AND_FIX.items()}
HARMLESS = frozenset({"no_visual_field", "eye_without_field", "beyond_limit", "not_needed", "system_file"})
