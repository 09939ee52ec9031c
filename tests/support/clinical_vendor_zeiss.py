"""Synthetic Zeiss exports: raw Cirrus cubes and Humphrey visual fields."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from clinical_vendor_common import SOMEBODY, Person


def zeiss_name(
    person: Person = SOMEBODY, *, side: str = "OD", scan: str = "Macular Cube 512x128", end: str = "cube_z.img"
) -> str:
    """The name of a raw cube, which holds all that is known of it."""
    when = f"{person.acquired.month}-{person.acquired.day}-{person.acquired.year}_10-42-30"
    return f"P{person.identifier}_{scan}_{when}_{side}_sn1234_{end}"


def zeiss_img(folder: Path, pixels: np.ndarray, person: Person = SOMEBODY, **name: str) -> Path:
    """A raw cube of (slices, 1024, along-scan): stored upside down, mirrored and from the back."""
    scan = f"Macular Cube {pixels.shape[2]}x{pixels.shape[0]}"
    path = folder / zeiss_name(person, **{"scan": scan, **name})
    path.write_bytes(pixels[::-1, ::-1, ::-1].tobytes())
    return path


def hfa_xml(
    person: Person = SOMEBODY,
    *,
    md: str = "-0.52",
    psd: str = "2.03",
    side: str = "L",
    test: str = "24-2 SITA-Standard",
    strategy: str = "SITA-Standard",
    fixation: tuple[str, str] = ("15", "2"),
    positives: str = "20",
    negatives: str = "7",
    study_date: str | None = None,
    test_date: str | None = None,
    colour: str = "White",
    vfi: str | None = None,
    prologue: str = '<?xml version="1.0" encoding="UTF-8"?>',
) -> bytes:
    """A visual field as a Humphrey perimeter exports it to an electronic record (CZM-XML)."""
    day = person.acquired.isoformat()
    index = "" if vfi is None else f"<visual_field_index>{vfi}</visual_field_index>"
    content = f"""{prologue}
<CZM-XML xmlns="http://www.meditec.zeiss.com/czm"><Header><user_name>{person.comment}</user_name></Header>
<DataSet><CZM_HFA_EMR_IOD><iod_version>1.1</iod_version>
<Patient_M><patients_name VR="PN"><family_name>{person.family}</family_name><given_name>{person.given}</given_name>
</patients_name><patient_id VR="LO">{person.identifier}</patient_id>
<patients_birth_date>{person.birth.isoformat()}</patients_birth_date><patients_sex>{person.sex}</patients_sex>
<patient_comments>{person.comment}</patient_comments></Patient_M>
<GeneralStudy_M><study_date>{day if study_date is None else study_date}</study_date></GeneralStudy_M>
<GeneralSeries_M><modality>CZM_HFA</modality><laterality>{side}</laterality>
<performing_physicians_name><value><family_name>{person.comment}</family_name></value></performing_physicians_name>
</GeneralSeries_M>
<GeneralEquipment_M><manufacturer>Carl Zeiss Meditec Inc.</manufacturer>
<manufacturers_model_name>740</manufacturers_model_name></GeneralEquipment_M>
<CZM_HFA_Series_M><test_date>{day if test_date is None else test_date}</test_date><test_name>{test}</test_name>
<test_strategy>{strategy}</test_strategy><stimulus_color>{colour}</stimulus_color>
<fixation_trials>{fixation[0]}</fixation_trials><fixation_errors>{fixation[1]}</fixation_errors>
<false_positives><false_positive_percent>{positives}</false_positive_percent></false_positives>
<false_negatives><false_negative_percent>{negatives}</false_negative_percent></false_negatives></CZM_HFA_Series_M>
<CZM_HFA_Analysis_M><mean_deviation>{md}</mean_deviation>
<pattern_standard_deviation>{psd}</pattern_standard_deviation>{index}</CZM_HFA_Analysis_M>
<ReferencedImage_M><file_reference>{person.family}.tif</file_reference></ReferencedImage_M>
</CZM_HFA_EMR_IOD></DataSet></CZM-XML>"""
    return content.encode("utf-8")
