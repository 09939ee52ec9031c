"""Kinds of DICOM objects by their SOP class: those that are read, and why each of the others is not."""

from __future__ import annotations

from pydicom.dataset import Dataset

from medmd.io._dicom_facts import is_zeiss
from medmd.io._dicom_op import wide_field
from medmd.io._dicom_values import text
from medmd.io._refusal import RefusedError

_STORAGE = "1.2.840.10008.5.1.4.1.1."
OPT = _STORAGE + "77.1.5.4"
OP = (_STORAGE + "77.1.5.1", _STORAGE + "77.1.5.2")
OPV = _STORAGE + "80.1"
_DICOMDIR = "1.2.840.10008.1.3.10"
_WIDE_FIELD = (_STORAGE + "77.1.5.5", _STORAGE + "77.1.5.6")
_SECONDARY = _STORAGE + "7"
_ENCAPSULATED = _STORAGE + "104."
_RAW = _STORAGE + "66"
_VIDEO = (_STORAGE + "77.1.1.1", _STORAGE + "77.1.2.1", _STORAGE + "77.1.4.1")

_ORIGINAL = "Export the original objects: Ophthalmic Tomography, Ophthalmic Photography, Visual Field."
# SOP class -> reason, what it is, what to do.
_OTHERS = {
    _DICOMDIR: (
        "dicomdir",
        "The file is the table of contents of a DICOM medium; it holds no examination itself.",
        "Nothing to do: the files that it names are read on their own.",
    ),
    _STORAGE + "77.1.5.7": (
        "en-face",
        "The object is an en-face projection of an OCT, not a colour photograph.",
        "Export the OCT volume (Ophthalmic Tomography) and a colour photograph.",
    ),
    _STORAGE + "77.1.5.8": (
        "oct-analysis",
        "The object is the analysis of an OCT volume, not the volume.",
        "Export the volume as Ophthalmic Tomography.",
    ),
    _STORAGE + "77.1.4": (
        "vl-photograph",
        "The object is a general photograph, which does not say what it shows.",
        "Export as Ophthalmic Photography, or as plain images with a table.",
    ),
}


def refusal(header: Dataset, media_class: str) -> RefusedError:
    """Why an object of this class is not read; a table of contents has its class in the file meta information."""
    sop_class = text(header, "SOPClassUID") or (_DICOMDIR if media_class == _DICOMDIR else None)
    if sop_class is None:
        detail = "The file does not say what kind of object it is (no SOP class)."
        return RefusedError(reason="dicom-class-missing", detail=detail, fix="Export the examination again.")
    if sop_class in _WIDE_FIELD:
        return wide_field()
    if sop_class in _OTHERS:
        reason, detail, fix = _OTHERS[sop_class]
        return RefusedError(reason=reason, detail=detail, fix=fix)
    if sop_class == _SECONDARY or sop_class.startswith(_SECONDARY + "."):
        detail = "The object is a screen copy (Secondary Capture), which often has names burned into it."
        return RefusedError(reason="secondary-capture", detail=detail, fix=_ORIGINAL)
    if sop_class.startswith(_ENCAPSULATED):
        detail = "The object is a document (such as a PDF report) within DICOM; its text identifies the patient."
        fix = "Export visual fields as DICOM OPV or HFA XML, or enter the values into a table."
        return RefusedError(reason="encapsulated-document", detail=detail, fix=fix)
    if sop_class == _RAW:
        return _raw(header)
    if sop_class in _VIDEO:
        return RefusedError(reason="video", detail="The object is a video.", fix="Export still images.")
    detail = "The object is no OCT volume, fundus photograph or visual field."
    return RefusedError(reason="dicom-class-unused", detail=detail, fix=f"Nothing to do, or: {_ORIGINAL}")


def _raw(header: Dataset) -> RefusedError:
    if is_zeiss(header):
        detail = "The object is raw data in a private format of Carl Zeiss Meditec."
        fix = (
            "Export the examination as unobfuscated DICOM (FORUM research export), or as CIRRUS research files (.img)."
        )
        return RefusedError(reason="zeiss-raw", detail=detail, fix=fix)
    detail = "The object is raw data in a private format of the manufacturer."
    return RefusedError(reason="raw-data", detail=detail, fix=_ORIGINAL)
