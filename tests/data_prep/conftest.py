"""A small release in the layout of GRAPE, with its oddities, written by the tests."""

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

WORKBOOK = "VF and clinical information.xlsx"
EYES = ("OD", "OS")
BLIND_SPOT = (21, 32)


def fields(count: int, seed: int) -> np.ndarray:
    """`count` fields of 61 whole dB values, -1 at the blind spot and at some points that were not seen."""
    random = np.random.RandomState(seed)
    values = np.clip(random.randint(5, 30, (count, 1)) + random.randint(-8, 6, (count, 61)), -1, 35)
    values[:, BLIND_SPOT] = -1
    return values


@pytest.fixture(scope="session")
def plain_grape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release that `make_grape()` copies: writing a workbook takes longer than copying one."""
    folder = tmp_path_factory.mktemp("plain") / "GRAPE"
    write_release(folder, subjects=8, edit=None, without=set())
    return folder


@pytest.fixture
def make_grape(tmp_path: Path, plain_grape: Path) -> Callable[..., Path]:
    """A factory of releases: `make_grape(subjects=8, edit=…, without=(…)) -> folder`.

    Each subject has two eyes with three visits. Visits 1 and 2 list a photograph (`ROIs`; `CFPs` holds visit 1 only),
    visit 3 lists a slash. Subject 3 has no RNFL values. `edit(book)` may change the workbook, `without` names files
    that are not written.
    """

    def make(
        *, subjects: int = 8, edit: Callable | None = None, without: Iterable[str] = (), name: str = "GRAPE"
    ) -> Path:
        folder = tmp_path / name
        if edit or subjects != 8:
            write_release(folder, subjects=subjects, edit=edit, without=set(without))
            return folder
        shutil.copytree(plain_grape, folder)
        for missing in without:
            (folder / "ROIs" / missing).unlink()
        return folder

    return make


def write_release(folder: Path, *, subjects: int, edit: Callable | None, without: set[str]) -> None:
    from openpyxl import Workbook

    book = Workbook()
    baseline, follow_up = book.active, book.create_sheet("Follow-up")
    baseline.title = "Baseline"
    write_headers(baseline, follow_up)
    for subject in range(1, subjects + 1):
        for eye in EYES:
            write_eye(baseline, follow_up, subject, eye)
    if edit:
        edit(book)
    write_photographs(folder, subjects, without)
    book.save(folder / WORKBOOK)


def write_headers(baseline, follow_up) -> None:
    single = {
        "A": "Subject Number", "B": "Laterality", "C": "Age", "D": "Gender", "E": "IOP", "F": "CCT",
        "G": "Total Visits", "K": "Category of Glaucoma", "Q": "Corresponding CFP",
        "R": "Acquisition Device", "S": "Resolusion",
    }  # fmt: skip
    for column, text in single.items():
        baseline[f"{column}1"] = text
        baseline.merge_cells(f"{column}1:{column}2")
    baseline["H1"], baseline["L1"], baseline["T1"] = "Progression Status", "OCT RNFL thickness", "VF"
    for column, text in zip("HIJLMNOP", ("PLR2", "PLR3", "MD", "Mean", "S", "N", "I", "T"), strict=True):
        baseline[f"{column}2"] = text
    for point in range(61):
        baseline.cell(2, 20 + point, point)
        follow_up.cell(2, 9 + point, point)
    for cells in ("H1:J1", "L1:P1", "T1:CB1"):
        baseline.merge_cells(cells)
    later = ("Subject Number", "Laterality", "Visit Number", "Interval Years", "IOP", "Corresponding CFP",
             "Acquisition Device", "Resolusion", "VF")  # fmt: skip
    for index, text in enumerate(later, start=1):
        follow_up.cell(1, index, text)
    follow_up.merge_cells("I1:BQ1")


def write_eye(baseline, follow_up, subject: int, eye: str) -> None:
    seed = 2 * subject + EYES.index(eye)
    points = fields(3, seed).tolist()
    rnfl = ["/"] * 5 if subject == 3 else [60 + seed, 70 + seed, 50 + seed, 75 + seed, 45 + seed]
    device = "TRC-NW8 Fundus Camera (TOPCON, Japan)"
    sex = "MF"[subject % 2]
    listed = f"{subject}_{eye}_1.jpg"
    baseline.append(
        [subject, eye, 40 + subject, sex, 14.5, 540, 3, 0, 1, 1, "OAG", *rnfl, listed, device, "24×20", *points[0]]
    )
    for visit in (1, 2, 3):
        photograph = "/" if visit == 3 else f"{subject}_{eye}_{visit}.jpg"
        years, iop = 0.75 * (visit - 1), 14.5 + (visit - 1)
        camera = "/" if visit == 3 else device
        follow_up.append([subject, eye, visit, years, iop, photograph, camera, "/", *points[visit - 1]])


def write_photographs(folder: Path, subjects: int, without: set[str]) -> None:
    from PIL import Image

    (folder / "ROIs").mkdir(parents=True)
    (folder / "CFPs").mkdir()
    for seed in range(subjects * 4):
        subject, rest = divmod(seed, 4)
        eye, visit = EYES[rest // 2], rest % 2 + 1
        name = f"{subject + 1}_{eye}_{visit}.jpg"
        if name in without:
            continue
        pixels = np.random.RandomState(seed).randint(0, 256, (20, 24, 3)).astype(np.uint8)
        # With a camera's traces: a comment and an EXIF text, which must not come through.
        exif = Image.Exif()
        exif[0x010E] = "SECRET"
        Image.fromarray(pixels).save(folder / "ROIs" / name, quality=95, exif=exif, comment=b"SECRET")
        if visit == 1:
            Image.fromarray(pixels).resize((48, 40)).save(folder / "CFPs" / name, quality=95)
