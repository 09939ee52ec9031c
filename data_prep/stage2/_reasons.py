"""Why something is set aside, in words, and what to do about it."""

from __future__ import annotations

_WHY_AND_FIX = {
    "label_missing": ("no label, or none that is a number", "look at the label table's row of this eye"),
    "label_out_of_range": (
        "the label is no possible MD",
        "look at the row: a sign, a shifted column? MD is negative for loss, from -40 to 6 dB",
    ),
    "label_contradictory": ("the table has two labels for the eye", "keep the right row"),
    "row_without_id": ("a row of a table without a readable number of an eye", "write the number, or remove the row"),
    "images_absent": ("listed in a table, but without images", "unpack the archive again; it may have been cut short"),
    "no_usable_image": ("none of the eye's images can be used", "see the files' reasons"),
    "slices_missing": ("the OCT's slices are not complete", "unpack the archive again; it may have been cut short"),
    "slice_twice": ("an OCT slice is there twice", "remove the copy"),
    "slice_unreadable": ("an OCT slice cannot be read", "unpack the archive again; it may be damaged"),
    "slices_differ": ("the OCT's slices differ in size", "look for slices of another eye in the folder"),
    "oct_blank": ("the OCT is one even grey", "unpack the archive again; if it stays so, the release is at fault"),
    "fundus_twice": ("the eye has several photographs", "keep the one that is meant"),
    "fundus_unreadable": ("the photograph cannot be read", "unpack the archive again; it may be damaged"),
    "eye_set_aside": ("belongs to an eye that is set aside", "see the eye's reason"),
    "not_of_the_release": ("a file that no layout has", "nothing, if you know it; it was not read"),
    "table_unused": ("a table that belongs to no part that is there", "nothing, if the part is meant to be absent"),
    "beyond_limit": ("not asked for: beyond --limit", "leave --limit out for all eyes"),
    "other_task": ("labels of another task of the challenge", "nothing: only MD is converted"),
    "system_file": ("written by an operating system or office program", "nothing"),
}
REASONS = {reason: why for reason, (why, _) in _WHY_AND_FIX.items()}
FIXES = {reason: fix for reason, (_, fix) in _WHY_AND_FIX.items()}
HARMLESS = frozenset({"beyond_limit", "other_task", "system_file"})
