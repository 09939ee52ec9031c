"""Why an examination is not used, in words, and what to do about it."""

from __future__ import annotations

_WHY_AND_FIX = {
    # Of the pixels.
    "too-few-slices": ("the volume has fewer slices than asked for", "lower `oct.min_slices` if such scans are meant"),
    "slices-blank": ("slices of the volume are one even grey", "export the examination again"),
    "slices-truncated": ("the lower end of slices is missing", "export the examination again"),
    "volume-saturated": ("too much of the volume is at the upper end of the scale", "look at it on the contact sheet"),
    "volume-contrast-low": ("the retina hardly stands out from the background", "look at it on the contact sheet"),
    "slices-unlike": ("neighbouring slices do not resemble each other: noise, scrambled or shuffled frames",
                      "ask the maker for an export that is not scrambled"),
    "signal-low": ("the device's signal value is below the limit", "nothing; see `oct.min_signal`"),
    "photo-saturated": ("too much of the photograph is overexposed", "look at it on the contact sheet"),
    "photo-dark": ("most of the photograph is nearly black", "look at it on the contact sheet"),
    "photo-uneven": ("the photograph is lit very unevenly", "look at it on the contact sheet"),
    "photo-blurred": ("the photograph shows no fine detail", "look at it on the contact sheet"),
    "photo-grey": ("the photograph has no colours: red-free, infrared or an angiogram", "export colour photographs"),
    "no-circle": ("the round field of the camera is not seen", "see `quality.circle_required`"),
    "field-too-wide": ("wide-field photograph", "nothing; see `fundus.max_field_of_view`"),
    "region-not-accepted": ("shows a region that is not asked for", "nothing; see `regions`"),
    "scan-pattern-not-accepted": ("scan pattern that is not asked for", "nothing; see `oct.scan_patterns`"),
    # Of the visual field.
    "pattern-not-accepted": ("test pattern that is not asked for", "nothing; see `visual_field.patterns`"),
    "strategy-excluded": ("strategy that is left out", "nothing; see `visual_field.excluded_strategies`"),
    "md-missing": ("the visual field has no MD", "export the field with its global indices"),
    "md-out-of-range": ("no possible MD", "look at the sign: `md_convention`"),
    "false-positives-high": ("too many false positive answers", "nothing; see `visual_field.max_false_positives`"),
    "false-negatives-high": ("too many false negative answers", "nothing; see `visual_field.max_false_negatives`"),
    "fixation-losses-high": ("too many fixation losses", "nothing; see `visual_field.strict`"),
    "reliability-unknown": ("false positives or negatives are not known", "nothing; see `visual_field.strict`"),
    # Of its content.
    "identical-content-across-patients": ("the same pixels under several patients", "find out whose they are"),
    "identical-content-both-eyes": ("the same pixels as right and as left eye", "find out which eye it is"),
    "same-content": ("a copy of another examination that is there", "nothing"),
    # Of the pairing.
    "input-not-wanted": ("kind of image that is not asked for", "nothing; see `inputs.wanted`"),
    "no-visual-field": ("the eye has no usable visual field", "export the visual fields as well"),
    "no-image": ("the eye has no usable image", "export the images as well"),
    "no-field-in-window": ("no visual field of the eye is near enough in time", "nothing; see `pairing.window_days`"),
    "no-image-in-window": ("no image of the eye is near enough in time", "nothing; see `pairing.window_days`"),
    "required-image-missing": ("no image of a required kind is left for it", "nothing; see `inputs.required`"),
    "images-serve-nearer-fields": ("the images near it serve other visual fields",
                                   "nothing; see `pairing.one_field_per_scan`"),
    "another-image-chosen": ("another image suits the visual field better", "nothing"),
    "another-field-chosen": ("another visual field of the eye is kept", "nothing; see `pairing.per_eye`"),
    "field-not-used": ("the visual field near it is not used", "see the reasons of the visual fields"),
}  # fmt: skip
REASONS = {reason: why for reason, (why, _) in _WHY_AND_FIX.items()}
FIXES = {reason: fix for reason, (_, fix) in _WHY_AND_FIX.items()}
# Counted as merged: nothing of them is lost.
MERGED = frozenset({"same-content"})
# Nothing is to be done about these.
HARMLESS = frozenset(reason for reason, fix in FIXES.items() if fix.startswith("nothing"))
