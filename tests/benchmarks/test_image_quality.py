import json

import numpy as np
import pytest
from PIL import Image

from benchmarks import image_quality


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quality")
    photographs = folder / "clinic"
    photographs.mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3)).astype(np.uint8)).save(photographs / "a.png")
    volumes = folder / "exports"
    volumes.mkdir()
    (volumes / "unknown").write_bytes(b"nothing")
    folders = ["--photographs", str(photographs), "--volumes", str(volumes)]
    image_quality.main(["--eyes", "2", "--most", "4", *folders, "--output", str(folder / "page")])
    return folder


def test_sound_eyes_pass_and_damaged_ones_do_not(written):
    sets = json.loads((written / "page.json").read_text())
    assert sets["phantom, volumes"]["refused"] == {}
    assert sets["phantom, photographs"]["refused"] == {}
    for name, reason in {
        "phantom, volumes, noise": "slices-unlike",
        "phantom, volumes, every 10th slice blank": "slices-blank",
        "phantom, volumes, lower quarter of every 4th slice lost": "slices-truncated",
        "phantom, photographs, grey": "photo-grey",
        "phantom, photographs, brightness x 0.1": "photo-dark",
    }.items():
        assert sets[name]["refused"] == {reason: sets[name]["images"]}, name


def test_the_page_tells_every_set(written):
    sets = json.loads((written / "page.json").read_text())
    page = (written / "page.md").read_text()
    assert page.startswith("# Image quality")
    assert all(f"## {name}\n" in page for name in sets)
    assert sets["clinic, photographs"]["images"] == 1
    assert sets["exports, volumes"] == {"images": 0, "quantiles": {}, "refused": {}}
