"""Nothing of what a DICOM file says of a patient reaches an exception, a repr, a warning, a log or standard error."""

import logging
import traceback
import warnings

import pytest
from clinical_dicom import as_bytes, bscans, encode_frame, oct_volume, photograph, visual_field
from pydicom.datadict import DicomDictionary
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from pydicom.uid import JPEG2000, JPEGBaseline8Bit

from medmd.io import RefusedError, read_all

CANARY = "CANARY"
# Text VRs, and how long a value may be.
LENGTHS = {
    "AE": 16, "AS": 4, "CS": 16, "DA": 8, "DS": 16, "DT": 26, "IS": 12, "LO": 64, "LT": 99, "PN": 64, "SH": 16,
    "ST": 99, "TM": 14, "UC": 99, "UI": 64, "UR": 99, "UT": 99,
}  # fmt: skip
# What decides that the object is read at all.
KEEP = {"SOPClassUID", "TransferSyntaxUID", "SpecificCharacterSet", "PhotometricInterpretation", "NumberOfFrames"}


def planted(dataset: Dataset) -> tuple[bytes, int]:
    """Canaries in an element of every text VR of every group, in private elements, in the meta information, ahead."""
    values: list[bytes] = []

    def plant(target: Dataset, keywords: set[str]) -> None:
        for tag, entry in DicomDictionary.items():
            vr, keyword = entry[0], entry[4]
            fresh = keyword not in KEEP and keyword and tag not in target and tag >> 16 not in (0, 2, 4, 0x7FE0)
            if vr in LENGTHS and fresh and (vr, tag >> 16) not in keywords:
                keywords.add((vr, tag >> 16))
                values.append(f"{CANARY}{len(values):06d}"[: LENGTHS[vr]].encode())
                value = values[-1] + b" " * (len(values[-1]) % 2)
                # Raw: written as it is, even where a number or a date should stand.
                target[tag] = RawDataElement(BaseTag(tag), vr, len(value), value, 0, False, True)

    plant(dataset, set())
    dataset.Manufacturer = f"Carl Zeiss {CANARY}"
    for keyword in ("PatientID", "PatientName", "ManufacturerModelName", "StudyID", "StationName"):
        setattr(dataset, keyword, f"{CANARY}{keyword}")
    block = dataset.private_block(0x0405, f"{CANARY} CREATOR", create=True)
    block.add_new(1, "LO", f"{CANARY}PRIVATE")
    for item in dataset.get("PerFrameFunctionalGroupsSequence", []):
        item.FrameContentSequence[0].FrameComments = f"{CANARY}FRAME"
        item.FrameContentSequence[0].FrameLabel = f"{CANARY}LABEL"
    raw = as_bytes(dataset)
    assert raw.count(CANARY.encode()) >= 40
    return (CANARY.encode() * 22)[:128] + raw[128:], len(values)


def readable_and_not():
    """Objects that are read, and objects that fail in every stage."""
    yield "volume", oct_volume()
    yield "volume-jpeg", oct_volume(syntax=JPEGBaseline8Bit)
    yield "photograph", photograph()
    yield "field", visual_field(device=("Carl Zeiss Meditec", "HFA"))
    broken = [b"\xff\x4f\xff\x51" + encode_frame(frame, JPEG2000)[4:60] + bytes(400) for frame in bscans()]
    yield "undecodable", oct_volume(syntax=JPEG2000, encoded=broken)
    sideways = oct_volume()
    sideways.Laterality = "L"
    yield "contradiction", sideways
    capture = photograph()
    capture.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    yield "capture", capture
    unknown = photograph()
    unknown.SOPClassUID = f"1.2.3.{int.from_bytes(CANARY.encode(), 'big')}"
    yield "unknown", unknown


def texts_of(raw: bytes) -> list[str]:
    try:
        found = read_all(raw)
    except RefusedError as error:
        return ["".join(traceback.format_exception(error)), repr(error) + repr(vars(error))]
    return [repr(one) + repr(one.subject) + "".join(one.warnings) + str(one.device) for one in found]


@pytest.mark.parametrize(
    ("name", "dataset"), list(readable_and_not()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_canaries_stay_inside(name, dataset, caplog, capfd):
    with warnings.catch_warnings():
        # The writer warns of what the canaries do to dates and numbers.
        warnings.simplefilter("ignore")
        raw, count = planted(dataset)
    caplog.clear()
    assert count > 100
    texts = []
    with caplog.at_level(logging.DEBUG), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for cut in (len(raw), len(raw) - 50, len(raw) * 2 // 3, len(raw) // 3, 3000):
            texts += texts_of(raw[:cut])
    texts += [str(one.message) for one in warned] + [record.getMessage() for record in caplog.records]
    texts += list(capfd.readouterr())

    assert len(texts) >= 7
    everything = "\n".join(texts)
    assert CANARY not in everything
    assert CANARY.encode().hex() not in everything


def test_values_that_break_their_kind_warn_nobody(caplog, recwarn):
    """pydicom repeats invalid values in its warnings."""
    dataset = oct_volume()
    dataset.PatientAge = "099Y"
    raw = (
        as_bytes(dataset).replace(b"099Y", b"Jane").replace(b"19500314", b"Janet Do").replace(b"20210506", b"Jane Doe")
    )
    with caplog.at_level(logging.DEBUG):
        (found,) = read_all(raw)

    assert found.subject.age is None
    assert found.subject.birth_date is None
    assert found.acquired is None
    assert not caplog.records
    assert not recwarn.list
