"""A small PAPILA in the layout of the release, with its oddities, written by the tests.

File names, columns and codes are those that public code relies on: the authors' own HelpCode/utils.py (the row `ID`,
the row of names without an index), and readers of the release that take the values from the fourth row on.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

GROUPS = (None, "Age", "Gender", "Diagnosis", "Refractive_Defect", None, None, "Phakic/Pseudophakic", "IOP", None,
          "Pachymetry", "Axial_Length", "VF_MD")  # fmt: skip
NAMES = (None, "Age", "Gender", "Diagnosis", "dioptre_1", "dioptre_2", "astigmatism", "Phakic/Pseudophakic",
         "Pneumatic", "Perkins", "Pachymetry", "Axial_Length", "VF_MD")  # fmt: skip
# Numbers have gaps, as in the release.
PATIENTS = (2, 4, 5, 6, 7, 9, 10, 11, 13, 120, 333, 334)
# Healthy patients were not tested.
UNTESTED = (333, 334)


def md(patient: int, side: str) -> float | None:
    return None if patient in UNTESTED else round(1.2 - 0.21 * patient - (3.5 if side == "os" else 0), 2)


def row(patient: int, side: str) -> list:
    diagnosis = 0 if patient in UNTESTED else 1 + patient % 2
    return [f"#{patient:03d}", 40 + patient % 50, patient % 2, diagnosis, 0.75, -0.5, 90, 0, 14 + patient % 5, None,
            540 + patient % 9, 23.5, md(patient, side)]  # fmt: skip


def photograph(patient: int, side: str) -> Image.Image:
    """A disc on black whose colour tells the MD."""
    y, x = np.mgrid[-1:1:40j, -1.2:1.2:48j]
    disc = (x**2 + y**2 < 0.8).astype(float)
    noise = np.random.RandomState(2 * patient + (side == "os")).randint(0, 30, (40, 48, 3))
    level = 200 + 4 * (md(patient, side) or 0)
    return Image.fromarray((disc[..., None] * (level * np.array([1, 0.6, 0.3])) + noise).clip(0, 255).astype(np.uint8))


def write_sheet(path: Path, rows: list) -> None:
    from openpyxl import Workbook

    book = Workbook()
    for content in (GROUPS, NAMES, ("ID", *[None] * 12), *rows):
        book.active.append(list(content))
    path.parent.mkdir(parents=True, exist_ok=True)
    book.save(path)


def write_papila(folder: Path) -> Path:
    root = folder / "PapilaDB-PAPILA-17f8fa7746adb20275b5b6a0d99dc9dfe3007e9f"
    (root / "FundusImages").mkdir(parents=True)
    for side in ("od", "os"):
        write_sheet(root / "ClinicalData" / f"patient_data_{side}.xlsx", [row(number, side) for number in PATIENTS])
        for number in PATIENTS:
            path = root / "FundusImages" / f"RET{number:03d}{side.upper()}.jpg"
            photograph(number, side).save(path, quality=95, comment=b"SECRET")
    contours = root / "ExpertsSegmentations" / "Contours"
    contours.mkdir(parents=True)
    (contours / "RET002OD_cup_exp1.txt").write_text("1 2\n")
    (contours / "RET002OD_cup_exp2 2.txt").write_text("1 2\n")
    (root / "README.md").write_text("see the paper")
    (root / "FundusImages" / ".DS_Store").write_bytes(b"Bud1")
    return folder


@pytest.fixture(scope="session")
def plain_papila(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_papila(tmp_path_factory.mktemp("plain") / "PAPILA")


@pytest.fixture
def papila(tmp_path: Path, plain_papila: Path) -> Path:
    """The folder `PapilaDB-PAPILA-…` of a release that the test may change."""
    return next(shutil.copytree(plain_papila, tmp_path / "PAPILA").iterdir())


@pytest.fixture
def edit(papila: Path) -> Callable:
    """`edit(side, patient, column=value, …)` changes cells; a patient of None appends the row `values`."""
    from openpyxl import load_workbook

    places = {"Age": 2, "Gender": 3, "Diagnosis": 4, "Pneumatic": 9, "Pachymetry": 11, "Axial_Length": 12, "VF_MD": 13}

    def change(side: str, patient: int | None, *values, **cells) -> None:
        path = papila / "ClinicalData" / f"patient_data_{side}.xlsx"
        book = load_workbook(path)
        if patient is None:
            book.active.append(list(values))
        else:
            number = next(line[0].row for line in book.active.iter_rows() if line[0].value == f"#{patient:03d}")
            for name, value in cells.items():
                book.active.cell(number, places[name]).value = value
        book.save(path)

    return change
