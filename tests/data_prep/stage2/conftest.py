"""Small releases in the layouts of STAGE 2023, STAGE 2024 and GAMMA, with their oddities, written by the tests.

The layouts are those that the participants' public code reads; the sources are named where the converter's guide
describes them (docs/how-to/convert-stage2.md).
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROWS, COLUMNS, SLICES = 48, 32, 12
INFO_HEADER = ("ID", "gender", "age", "eye", "Glaucoma_stage")
STAGES = ("normal", "early", "intermediate", "advanced")
MD = {number: round(-0.4 - 0.9 * number, 2) for number in range(1, 30)}


def bscan(eye: int, number: int, size: tuple[int, int] = (ROWS, COLUMNS)) -> np.ndarray:
    """A slice with a bright band; its brightness tells the number, its place the MD of the eye."""
    rows, columns = size
    pixels = np.random.RandomState(1000 * eye + number).randint(0, 30, (rows, columns))
    centre = rows // 2 + int(MD.get(eye, -5.0) / 4)
    pixels[centre - 5 : centre + 5] = 120 + 8 * number
    return pixels.astype(np.uint8)


def photograph(eye: int) -> np.ndarray:
    """A disc on black whose colour tells the MD."""
    y, x = np.mgrid[-1:1:60j, -1:1:60j]
    disc = (x**2 + y**2 < 0.8).astype(float)
    level = 200 + 5 * MD.get(eye, -5.0)
    noise = np.random.RandomState(eye).randint(0, 20, (60, 60, 3))
    return (disc[..., None] * (level * np.array([1.0, 0.6, 0.3]) + noise)).clip(0, 255).astype(np.uint8)


def write_slices(folder: Path, eye: int, *, count: int = SLICES, first: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        Image.fromarray(bscan(eye, number)).save(folder / f"{number}_image.jpg", quality=95)


def write_excel(path: Path, rows: list) -> None:
    from openpyxl import Workbook

    book = Workbook()
    for row in rows:
        book.active.append(list(row))
    path.parent.mkdir(parents=True, exist_ok=True)
    book.save(path)


def write_csv(path: Path, rows: list) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(",".join(map(str, row)) + "\r\n" for row in rows), encoding="utf-8-sig")


def info_rows(numbers) -> list:
    return [
        INFO_HEADER,
        *(
            (n, ("male", "female")[n % 2], 40 + n, ("OD", "OS")[n % 2], STAGES[min(3, int(-MD[n] // 6))])
            for n in numbers
        ),
    ]


def md_rows(numbers) -> list:
    return [("ID", "MD"), *((n, MD[n]) for n in numbers)]


def litter(folder: Path) -> None:
    """What unpacking on a Mac leaves behind."""
    (folder / ".DS_Store").write_bytes(b"Bud1")
    (folder / "0001" / ".DS_Store").write_bytes(b"Bud1")
    (folder / "0001" / "._0_image.jpg").write_bytes(b"x")


def write_stage2023(root: Path, *, train=range(1, 9), val=range(11, 14)) -> Path:
    """OCT alone; labels and info as Excel; `data_info_validation.xlsx`."""
    training = root / "STAGE_training"
    for number in train:
        write_slices(training / "training_images" / f"{number:04d}", number)
    litter(training / "training_images")
    write_excel(training / "training_GT" / "task1_GT_training.xlsx", md_rows(train))
    for task in (2, 3):
        header = ("ID", *(f"point{point}" for point in range(1, 53)))
        rows = [header, *((n, *[20] * 52) for n in train)]
        write_excel(training / "training_GT" / f"task{task}_GT_training.xlsx", rows)
    write_excel(training / "data_info_training.xlsx", info_rows(train))
    for number in val:
        write_slices(root / "STAGE_validation" / "validation_images" / f"{number:04d}", number)
    write_excel(root / "STAGE_validation" / "data_info_validation.xlsx", info_rows(val))
    return root


def write_stage2024(root: Path, *, train=range(1, 11), val=range(21, 24)) -> Path:
    """OCT and photograph side by side; labels as CSV; `data_info_val.xlsx`."""
    training = root / "STAGE_training"
    for number in train:
        write_eye2024(training / "training_images", number)
    litter(training / "training_images")
    write_csv(training / "training_GT" / "task1_GT_training.csv", md_rows(train))
    write_csv(training / "training_GT" / "task2_GT_training.csv", [("ID", "point1"), *((n, 20) for n in train)])
    write_excel(training / "data_info_training.xlsx", info_rows(train))
    for number in val:
        write_eye2024(root / "STAGE_validation" / "validation_images", number)
    write_excel(root / "STAGE_validation" / "data_info_val.xlsx", info_rows(val))
    return root


def write_eye2024(images: Path, number: int) -> None:
    folder = images / f"{number:04d}"
    write_slices(folder, number)
    Image.fromarray(photograph(number)).save(folder / f"{number:04d}.jpg", quality=95, comment=b"SECRET")


def write_gamma(root: Path, *, train=range(1, 7), test=range(1, 4)) -> Path:
    """Slices one folder deeper; grades one-hot; the test part numbers its eyes from 1 again."""
    for part, numbers in (("training", train), ("testing", test)):
        images = root / "Glaucoma_grading" / part / "multi-modality_images"
        for number in numbers:
            write_slices(images / f"{number:04d}" / f"{number:04d}", number if part == "training" else 20 + number)
            pixels = photograph(number if part == "training" else 20 + number)
            Image.fromarray(pixels).save(images / f"{number:04d}" / f"{number:04d}.jpg", quality=95)
        rows = [
            ("data", "non", "early", "mid_advanced"),
            *((n, *(int(n % 3 == grade) for grade in range(3))) for n in numbers),
        ]
        write_excel(root / "Glaucoma_grading" / part / f"glaucoma_grading_{part}_GT.xlsx", rows)
    return root


@pytest.fixture(scope="session")
def plain_stage2024(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stage2024(tmp_path_factory.mktemp("plain") / "STAGE2")


@pytest.fixture
def stage2024(tmp_path: Path, plain_stage2024: Path) -> Path:
    """A STAGE 2024 release that the test may change."""
    import shutil

    return shutil.copytree(plain_stage2024, tmp_path / "STAGE2")


@pytest.fixture
def stage2023(tmp_path: Path) -> Path:
    return write_stage2023(tmp_path / "STAGE")


@pytest.fixture
def gamma(tmp_path: Path) -> Path:
    return write_gamma(tmp_path / "GAMMA")


@pytest.fixture
def snapshot() -> Callable[[Path], dict[str, bytes]]:
    def take(path: Path) -> dict[str, bytes]:
        return {item.relative_to(path).as_posix(): item.read_bytes() for item in path.rglob("*") if item.is_file()}

    return take
