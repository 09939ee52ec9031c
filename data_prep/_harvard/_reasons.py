"""Why something is set aside, in words, and what to do about it."""

from __future__ import annotations

_AGAIN = "get the file again from where the release is published"
_WHY_AND_FIX = {
    "npz-no-file": ("the sample is no ordinary file, or too large for one", _AGAIN),
    "npz-damaged": ("the sample cannot be read as an .npz archive", _AGAIN),
    "npz-foreign": ("the sample holds what numpy.savez does not write; it is not opened", _AGAIN),
    "npz-too-many": ("the sample holds more arrays than any sample of the release", _AGAIN),
    "size-impossible": ("an array declares a size that no array can have", _AGAIN),
    "size-too-large": ("an array declares more values than are accepted", _AGAIN),
    "truncated": ("an array declares more than the file holds", _AGAIN),
    "array_needs_pickle": (
        "an array holds Python objects, which only pickle could read: that would run code of the file",
        "if you trust the file, load it with NumPy and save the array as plain numbers",
    ),
    "label_missing": ("no md, or none that is one number", "look at the sample's md"),
    "label_out_of_range": ("md is no possible MD", "MD is negative for loss, from -40 to 6 dB: a sign?"),
    "label_contradictory": ("the sample and the summary table tell two different md", "find out which is right"),
    "sample_twice": ("two files bear the number in one part", "remove the copy"),
    "in_two_parts": ("holds the same image as a sample of a later part", "nothing: the later part keeps it"),
    "no_usable_image": ("none of the sample's images can be used", "see image_faults in report.json"),
    "oct_shape": ("the volume has not three axes of 16 to 1024", _AGAIN),
    "oct_values": ("the volume holds values other than whole numbers from 0 to 255", _AGAIN),
    "oct_blank": ("the volume is one even grey", _AGAIN),
    "map_shape": ("the thickness map is no rectangle with sides of 16 to 1024", _AGAIN),
    "map_values": ("the thickness map does not hold numbers", _AGAIN),
    "map_empty": ("less than a tenth of the thickness map is measured", "look at the scan: the layer was not found"),
    "row_without_sample": ("the summary table lists a sample that is not there", "unpack the archive again"),
    "not_of_the_release": ("a file that the release does not have", "nothing, if you know it; it was not read"),
    "beyond_limit": ("not asked for: beyond --limit", "leave --limit out for all samples"),
    "document": ("tells about the release", "nothing"),
    "system_file": ("written by an operating system or office program", "nothing"),
}
REASONS = {reason: why for reason, (why, _) in _WHY_AND_FIX.items()}
FIXES = {reason: fix for reason, (_, fix) in _WHY_AND_FIX.items()}
HARMLESS = frozenset({"beyond_limit", "document", "system_file"})
