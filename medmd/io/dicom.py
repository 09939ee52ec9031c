"""DICOM: OCT volumes (OPT), colour photographs of the fundus (OP) and static perimetry (OPV).

What is read and what is refused: `_dicom_opt`, `_dicom_op`, `_dicom_opv` and `_dicom_classes`. Only the elements that
`_dicom_keywords` names are ever looked at. Compressed pixels other than JPEG baseline need the extra `dicom`.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from medmd.io._pillow import quiet
from medmd.io._records import Record
from medmd.io._source import Source

MdConvention: TypeAlias = Literal["hfa", "octopus"]

# The decoders' too.
_LOGGERS = ("pydicom", "PIL", "pylibjpeg", "openjpeg", "rle")


def matches(head: bytes, source: Source) -> bool:
    """Whether the file is DICOM, with or without a preamble."""
    from medmd.io._dicom_file import looks_like_dicom

    return looks_like_dicom(head)


def read_all(source: Source, *, md_convention: MdConvention | None = None) -> list[Record]:
    """Every examination of a DICOM file.

    Args:
        source: a path or bytes.
        md_convention: sign of the MD of perimeters other than the Humphrey, which is refused unless said: `hfa` when
            loss is negative, `octopus` when it is positive; the result is negative for loss in either case.

    Returns:
        The volumes of an OPT object, one a stack; or one photograph; or one visual field.

    Raises:
        RefusedError: with a reason of the modules named above.
        ValueError: `md_convention` is something else.
    """
    if md_convention not in (None, "hfa", "octopus"):
        msg = f"md_convention: expected 'hfa', 'octopus' or None, got {md_convention!r}"
        raise ValueError(msg)
    with quiet(*_LOGGERS):
        return _read(source, md_convention)


def _read(source: Source, md_convention: MdConvention | None) -> list[Record]:
    from medmd.io._dicom_classes import OP, OPT, OPV, refusal
    from medmd.io._dicom_file import dicom_file
    from medmd.io._dicom_op import read_photograph
    from medmd.io._dicom_opt import read_volumes
    from medmd.io._dicom_opv import read_field
    from medmd.io._dicom_values import text

    with dicom_file(source) as file:
        sop_class = text(file.header, "SOPClassUID")
        if sop_class == OPT:
            return list(read_volumes(file))
        if sop_class in OP:
            return [read_photograph(file)]
        if sop_class == OPV:
            return [read_field(file.header, md_convention=md_convention)]
        raise refusal(file.header, file.media_class)
