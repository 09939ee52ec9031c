"""Small releases in the layout of Harvard-GF and Harvard-GDP: one .npz a patient, in parts or in one folder.

Names, keys and codes are those of the READMEs of Harvard-Ophthalmology-AI-Lab/Harvard-GF and /Harvard-GDP; -1 in the
disc and -2 in the cup are what the lab's export code writes.
"""

from pathlib import Path

import numpy as np

MD = {number: round(1.0 - 0.7 * number, 2) for number in range(1, 60)}
SIZE = 24


def thickness(number: int, size: int = SIZE) -> np.ndarray:
    """A ring whose thickness tells the MD, -1 in the disc, -2 in the cup, in whole pixels of 1.95503 micrometres."""
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    radius = np.hypot(x, y)
    noise = np.random.RandomState(number).randint(0, 4, radius.shape)
    values = 1.95503 * np.rint(70 + 2 * MD[number] - 30 * radius + noise)
    values[radius < 0.3] = -1
    values[radius < 0.15] = -2
    return values


def volume(number: int, size: int = SIZE) -> np.ndarray:
    """(slices, depth, along-scan), a bright layer whose depth tells the MD."""
    values = np.random.RandomState(number).randint(0, 30, (size, size, size)).astype(np.uint8)
    centre = size // 2 + int(MD[number] / 10)
    values[:, centre - 3 : centre + 3] += 150
    values[:, :, : size // 4] //= 2
    return values


def arrays(number: int, *, oct_volume: bool, size: int = SIZE) -> dict:
    """What the release says of one patient."""
    found = {
        "rnflt": thickness(number, size), "md": MD[number], "tds": np.full(52, MD[number]), "age": 40.5 + number,
        "male": number % 2, "race": number % 3, "glaucoma": int(MD[number] < -3),
    }  # fmt: skip
    if oct_volume:
        found |= {"oct_bscans": volume(number, size), "ethnicity": number % 3 - 1, "language": 0, "maritalstatus": 1}
    else:
        found |= {"hispanic": number % 2, "progression": np.zeros(6)}
    return found


def write_sample(folder: Path, number: int, *, digits: int = 4, oct_volume: bool, **changes) -> Path:
    """One patient's file; a change to None leaves the array out."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {**arrays(number, oct_volume=oct_volume), **changes}
    path = folder / f"data_{number:0{digits}d}.npz"
    np.savez_compressed(path, **{name: value for name, value in content.items() if value is not None})
    return path


def write_gf(root: Path, *, parts=(("Training", range(1, 9)), ("Validation", (9, 10, 11)), ("Test", (12, 13, 14)))):
    """Harvard-GF: Dataset/Training, Dataset/Validation, Dataset/Test."""
    for part, numbers in parts:
        for number in numbers:
            write_sample(root / "Dataset" / part, number, oct_volume=True)
    (root / "README.md").write_text("3300 patients")
    (root / "Dataset" / ".DS_Store").write_bytes(b"Bud1")
    return root


def write_gdp(root: Path, *, numbers=range(1, 13)) -> Path:
    """Harvard-GDP: rnflt_maps/data_0001.npz …"""
    for number in numbers:
        write_sample(root / "rnflt_maps", number, oct_volume=False)
    return root
