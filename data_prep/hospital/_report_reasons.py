"""Why a file or an examination is set aside, in words, and what can be done about it."""

from __future__ import annotations

from data_prep.hospital import _pairing_reasons as pairing

_NOTHING = "nothing"
_WHY_AND_FIX = {
    # Of files that are not read.
    "litter": ("left behind by the operating system", _NOTHING),
    "link-inside": ("a link to another place of the export, read there", _NOTHING),
    "link-outside": ("a link that leads out of the export, or nowhere", "copy what it points to into the export"),
    "not-a-file": ("neither a file nor a folder", "remove it from the export"),
    "folder-unreadable": ("a folder that may not be opened", "give permission to read it"),
    "file-unreadable": ("a file that may not be read, or vanished", "give permission to read it, and run again"),
    "empty-file": ("a file without content", "export it again"),
    "archive": ("an archive", "unpack it, and run again"),
    "document": (
        "a document; visual fields printed to PDF are identified text",
        "export visual fields as DICOM (OPV) or XML, or type them into a table that the site file names",
    ),
    "table-not-listed": ("a table that the site file does not name", "name it under `tables`, or leave it out"),
    "table-unused": (
        "a table of which no row says something of a file",
        "look at its column `file`, and at the pattern",
    ),
    "format-unknown": ("no reader knows the content", "see the list of formats; leave it out if it is no examination"),
    # A medium's index repeats what the files say.
    "dicomdir": ("the index of a DICOM medium; what it lists is read in its own place", _NOTHING),
    # Of reading.
    "reader-failed": ("a reader failed over the file", "export it again; tell the makers of medmd if it stays"),
    "worker-died": ("the process that read the file died, twice", "export it again, or give the machine more memory"),
    "changed-while-read": ("the file changed while the conversion ran", "run again when nothing writes to the export"),
    "no-examination": ("the file holds no examination", "export it again"),
    # Of examinations.
    "patient-missing": ("neither file nor table says whose it is", "name a table with `kind: images` in the site file"),
    "laterality-missing": ("neither file nor table says which eye it is", "name a table with `kind: images`"),
    "day-missing": ("neither file nor table says the day", "name a table with `kind: images`"),
    "table-contradicts": ("file and table say different patients, eyes or days", "find out which is right"),
    "row-image-refused": ("the image that the row is about cannot be used", "see the reason of the image"),
    "kind-contradicts": ("file and table say different kinds of image", "correct the table"),
}
REASONS = {**pairing.REASONS, **{reason: why for reason, (why, _) in _WHY_AND_FIX.items()}}
FIXES = {**pairing.FIXES, **{reason: fix for reason, (_, fix) in _WHY_AND_FIX.items()}}
HARMLESS = pairing.HARMLESS | {reason for reason, (_, fix) in _WHY_AND_FIX.items() if fix == _NOTHING}
