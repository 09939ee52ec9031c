import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from data_prep.hospital._facts import Examination
from data_prep.hospital._flow import Stage, count_flow
from data_prep.hospital._flow_figure import flow_png
from data_prep.hospital._pairing import Pairing, pair
from data_prep.hospital._pairing_reasons import REASONS
from data_prep.hospital._site import SiteConfig


def make(name, kind, day=0, *, patient="p1", laterality="R", **facts):
    facts = {"md": -3.0, "pattern": "24-2"} | facts if kind == "vf" else facts
    return Examination(
        pointer=name, kind=kind, patient=patient, laterality=laterality, day=day, source_format="test", **facts
    )


EXPORT = [
    make("v1", "vf"), make("o1", "oct"), make("f1", "fundus"), make("f2", "fundus", 5),
    make("v2", "vf", laterality="L"), make("o2", "oct", 3, laterality="L"),
    make("v3", "vf", patient="p2", pattern="10-2"), make("o3", "oct", patient="p2"),
]  # fmt: skip


@pytest.fixture
def flow():
    pairing = pair(EXPORT, SiteConfig())
    return count_flow(
        EXPORT, pairing, files=12, files_aside=["archive", "litter", "litter"], unpaired=["laterality-missing"]
    )


def test_the_numbers(flow):
    assert flow.as_json() == json.loads(json.dumps(flow.as_json()))
    assert flow.as_json() == {
        "files": {"found": 12, "used": 9, "excluded": {"litter": 2, "archive": 1}},
        "unpaired": {"laterality-missing": 1},
        "kinds": {
            "vf": {"found": 3, "used": 2, "excluded": {"pattern-not-accepted": 1}},
            "oct": {"found": 3, "used": 2, "excluded": {"no-visual-field": 1}},
            "fundus": {"found": 2, "used": 1, "excluded": {"another-image-chosen": 1}},
        },
        "eyes": {"found": 3, "used": 2, "excluded": {"no-pair": 1}},
        "patients": {"found": 2, "used": 1, "excluded": {"no-pair": 1}},
        "pairs": {"oct": 1, "oct + fundus": 1},
    }


def test_nothing_found():
    flow = count_flow([], Pairing(pairs=(), excluded={}))
    assert flow.files is None
    assert flow.pairs == {}
    assert flow_png(flow, REASONS).startswith(b"\x89PNG")


def test_what_does_not_add_up_is_a_fault():
    with pytest.raises(RuntimeError, match="vf: 3 found, 1 used and 1 excluded"):
        Stage(found=3, used=1, excluded={"x": 1}).check("vf")


def test_an_examination_that_is_lost_is_a_fault():
    with pytest.raises(KeyError):
        count_flow(EXPORT, Pairing(pairs=(), excluded={}))


def test_the_figure_is_a_plain_picture(flow):
    data = flow_png(flow, REASONS)
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.width > 1000
        assert picture.height > 500
        assert set(picture.info) <= {"dpi"}
        assert len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 10
    assert flow_png(flow, REASONS) == data


def test_the_figure_grows_with_the_reasons(flow):
    many = {f"reason-{number}-that-is-long-enough-to-need-more-than-a-line": number + 1 for number in range(30)}
    longer = replace(flow, kinds=flow.kinds | {"vf": Stage(found=465, used=0, excluded=many)})
    heights = [Image.open(io.BytesIO(flow_png(each, {}))).height for each in (flow, longer)]
    assert heights[1] > heights[0] + 300
