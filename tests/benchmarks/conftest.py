import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
# The scripts are not installed; they are run from the checkout.
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))


@pytest.fixture(scope="session")
def grape_like(tmp_path_factory):
    """A converted GRAPE release in small, written by the real writer: 30 subjects, 60 eyes, one without RNFL.

    Brightness of the crop and thickness of the RNFL both follow the mean sensitivity.
    """
    from PIL import Image

    from data_prep.grape._cases import make_header
    from medmd.data import Case, Datalist, hash_inputs, write_datalist

    folder = tmp_path_factory.mktemp("grape")
    (folder / "images").mkdir()
    random = np.random.RandomState(0)
    cases = []
    for number in range(60):
        name, target = f"grape-{number // 2:04d}-{'RL'[number % 2]}-1", round(float(random.uniform(4, 29)), 2)
        pixels = np.clip(random.normal(60 + 4 * target, 20, (24, 24, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{name}.png")
        rnfl = None if number == 7 else [round(float(v), 1) for v in random.normal(40 + 1.8 * target, 8, 5)]
        inputs = {"fundus": f"images/{name}.png", "rnfl": rnfl}
        cases.append(
            Case(
                case_id=name,
                patient_id=name[:10],
                inputs=inputs,
                target=target,
                laterality="RL"[number % 2],
                hashes=hash_inputs(folder, inputs),
            )
        )
    parts = {"training": cases[:36], "validation": cases[36:48], "testing": cases[48:]}
    header = make_header(photograph="crop", visits="first", clinical=False)
    write_datalist(folder / "datalist.json", Datalist(header=header, splits=parts))
    return folder
