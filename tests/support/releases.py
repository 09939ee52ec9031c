"""Releases of public data sets in their official layouts, small, with values that can be learnt, written by tests."""

from pathlib import Path

import numpy as np


def write_mosi(folder: Path, *, videos: int = 12, utterances: int = 5, valid: bool = False) -> Path:
    """Arrays a part; text tells the opinion, voice and face hardly."""
    random = np.random.RandomState(0)
    parts = {"train": range(videos), "test": range(videos, videos + 4)}
    if valid:
        parts["valid"] = range(videos + 4, videos + 6)
    arrays = {}
    for part, numbers in parts.items():
        uids = [f"Vid_{number:02d}-x_{place}" for number in numbers for place in range(utterances)]
        opinion = random.uniform(-3, 3, len(uids)).astype(np.float32)
        arrays[f"{part}_y"], arrays[f"{part}_uid"] = opinion, np.array(uids)
        for name, length in (("text", 100), ("audio", 73), ("video", 100)):
            noise = random.normal(size=(len(uids), length))
            arrays[f"{part}_{name}"] = (noise + (name == "text") * opinion[:, None]).astype(np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / "mosi.npz", **arrays)
    return folder


ELEMENTS = ["H", "Li", "B", "O", "Mg", "Al", "Ca", "Fe", "Cu", "As", "Sr", "Y", "Nb", "Ba", "La"]
FORMULAS = [
    {"Y": 1, "Ba": 2, "Cu": 3, "O": 7}, {"Y": 0.9, "Ca": 0.1, "Ba": 2, "Cu": 3, "O": 6.9}, {"Mg": 1, "B": 2},
    {"Mg": 0.95, "Al": 0.05, "B": 2}, {"La": 1.85, "Sr": 0.15, "Cu": 1, "O": 4}, {"Nb": 3, "Al": 1}, {"Nb": 1},
    {"Ba": 0.6, "K": 0.4, "Fe": 2, "As": 2}, {"La": 1, "O": 0.9, "Fe": 1, "As": 1}, {"Li": 1, "Fe": 1, "As": 1},
    {"Ca": 1, "Al": 2}, {"La": 3, "Al": 1}, {"Y": 1, "B": 6}, {"Sr": 1, "Cu": 1, "O": 2}, {"H": 3, "La": 1},
]  # fmt: skip


def compositions(columns: list[str], repeats: int) -> tuple[np.ndarray, np.ndarray]:
    """Amounts and temperatures of `repeats` variants of every formula."""
    random = np.random.RandomState(1)
    rows, temperatures = [], []
    for variant in range(repeats):
        for number, formula in enumerate(FORMULAS):
            row = np.zeros(len(columns))
            for symbol, amount in formula.items():
                row[columns.index(symbol)] = amount * (1 + 0.01 * variant)
            rows.append(row)
            temperatures.append(round(4 + 6 * number + 0.5 * random.rand(), 4))
    return np.array(rows), np.array(temperatures)


def write_superconductivity(folder: Path, *, repeats: int = 4) -> Path:
    """`train.csv` with 81 properties and `unique_m.csv` with 86 elements."""
    symbols = [*ELEMENTS, "K", *[f"X{number}" for number in range(70)]]
    amounts, temperatures = compositions(symbols, repeats)
    random = np.random.RandomState(2)
    properties = random.normal(size=(len(amounts), 81)) + temperatures[:, None] / 20
    folder.mkdir(parents=True, exist_ok=True)
    names = ["number_of_elements", *[f"property_{number}" for number in range(80)], "critical_temp"]
    table = np.column_stack([properties, temperatures])
    np.savetxt(folder / "train.csv", table, delimiter=",", header=",".join(names), comments="", fmt="%.6g")
    lines = [",".join([*symbols, "critical_temp", "material"])]
    for row, temperature in zip(amounts, temperatures, strict=True):
        lines.append(",".join([*(f"{value:g}" for value in row), f"{temperature:g}", '"Ba0.2La1.8Cu1O4"']))
    (folder / "unique_m.csv").write_text("\n".join(lines) + "\n")
    return folder


def write_stand_in(folder: Path, *, repeats: int = 4) -> Path:
    """The arrays of the stand-in: 85 elements, 132 statistics."""
    symbols = [*ELEMENTS, "K", *[f"X{number}" for number in range(69)]]
    amounts, temperatures = compositions(symbols, repeats)
    random = np.random.RandomState(3)
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        folder / "stand_in.npz",
        composition=amounts.astype(np.float32),
        elements=np.array(symbols),
        magpie=(random.normal(size=(len(amounts), 132)) + temperatures[:, None] / 20).astype(np.float32),
        tc=temperatures.astype(np.float32),
        group=np.tile(np.arange(len(FORMULAS)), repeats).astype(np.int32),
        formula=np.array(["unread"] * len(amounts)),
    )
    return folder


def write_ct_slices(folder: Path, *, patients: int = 10, slices: int = 8) -> Path:
    """The table of the release, a histogram value that grows with the place."""
    random = np.random.RandomState(4)
    rows = []
    for patient in range(patients):
        for place in np.linspace(5, 170, slices):
            values = random.rand(384) * 0.1 + place / 180
            values[::7] = -0.25
            rows.append([patient, *values, place + random.rand()])
    folder.mkdir(parents=True, exist_ok=True)
    names = ["patientId", *[f"value{number}" for number in range(384)], "reference"]
    table = np.array(rows)
    np.savetxt(folder / "slice_localization_data.csv", table, "%.6g", ",", header=",".join(names), comments="")
    return folder


def disc(level: float, size: tuple[int, int], seed: int):
    """A picture whose brightness tells the target, with a camera's traces."""
    from PIL import Image

    rows, columns = size
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    noise = np.random.RandomState(seed).randint(0, 20, (rows, columns))
    return Image.fromarray(((x**2 + y**2 < 0.8) * level + noise).clip(0, 255).astype(np.uint8))


def write_bone_age(folder: Path, *, test_ages: bool = False) -> Path:
    """Tables and radiographs of the three parts: with ages the official test set, without Kaggle's."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = {
        "boneage-training-dataset": (range(1377, 1401), "id,boneage,male", "{id},{age},{male}"),
        "boneage-validation-dataset": (range(1501, 1507), "Image ID,male,Bone Age (months)", "{id},{upper},{age}"),
    }
    if test_ages:
        write_official_test_set(folder / "Bone Age Test Set", range(4360, 4364))
    else:
        parts["boneage-test-dataset"] = (range(4360, 4364), "Case ID,Sex", "{id},{sex}")
    for name, (numbers, header, line) in parts.items():
        lines = [header]
        inner = folder / name / name
        inner.mkdir(parents=True)
        for number in numbers:
            age, male = number * 7 % 220 + 5, number % 2 == 0
            words = {"id": number, "age": age, "male": male, "upper": str(male).upper(), "sex": "FM"[male]}
            lines.append(line.format(**words))
            disc(age, (40, 30), number).save(inner / f"{number}.png", pnginfo=None)
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return folder


def write_official_test_set(folder: Path, numbers: range) -> None:
    """`Bone age ground truth.xlsx` and the radiographs beside it, whose names do not tell the part."""
    from openpyxl import Workbook

    (folder / "Test Set Images").mkdir(parents=True)
    book = Workbook()
    book.active.append(["Case ID", "Sex", "Ground truth bone age (months)"])
    for number in numbers:
        age = number * 7 % 220 + 5.5
        book.active.append([number, "FM"[number % 2 == 0], age])
        disc(age, (40, 30), number).save(folder / "Test Set Images" / f"{number}.png")
    book.save(folder / "Bone age ground truth.xlsx")


NAMES = ("MariaCallas", "JohnWayne", "Greta_Garbo", "PeterSellers", "AlecGuinness", "DorisDay", "AvaGardner", "BobHope")


def write_age_db(folder: Path, *, split: bool = False) -> Path:
    """Photographs of eight people at four ages, and the table of the imbalanced split."""
    (folder / "AgeDB").mkdir(parents=True)
    lines = ["age,path,split"]
    for number in range(32):
        name, age = NAMES[number % 8], 8 + 23 * number % 80
        file = f"{number}_{name}_{age}_{'fm'[number % 2]}.jpg"
        disc(2 * age, (36, 30), number).convert("RGB").save(folder / "AgeDB" / file, quality=95, comment=b"SECRET")
        lines.append(f"{age},AgeDB/{file},{('train', 'train', 'val', 'test')[number // 8]}")
    if split:
        (folder / "agedb.csv").write_text("\n".join(lines) + "\n")
    return folder


def write_chimera(folder: Path, *, patients: int = 24) -> Path:
    """Records and features of task 1; every sixth patient is censored, one has no MRI."""
    import json

    import torch

    random = np.random.RandomState(5)
    for name in ("clinical_data", "pathology/features", "radiology/features"):
        (folder / name).mkdir(parents=True)
    for place in range(patients):
        number, months = 1003 + 3 * place, 6.0 + 4 * place
        record = {
            "age_at_prostatectomy": 60 + place % 9, "primary_gleason": 3 + place % 2, "secondary_gleason": 4,
            "tertiary_gleason": None, "ISUP": 2 + place % 3, "pre_operative_PSA": 7.5 + place, "BCR_PSA": "0.3",
            "pT_stage": ("2", "2a", "3b")[place % 3], "positive_lymph_nodes": ("0", "x", "1")[place % 3],
            "capsular_penetration": "1.0", "positive_surgical_margins": 0, "invasion_seminal_vesicles": "0",
            "lymphovascular_invasion": "x", "earlier_therapy": ("none", "radiotherapy + hormones")[place % 2],
            "BCR": "0.0" if place % 6 == 0 else "1.0", "time_to_follow-up/BCR": months,
        }  # fmt: skip
        (folder / "clinical_data" / f"{number}.json").write_text(json.dumps(record))
        for slide in (1, 2):
            patches = torch.from_numpy(random.normal(size=(4 + slide, 1024)) + months / 50).float()
            torch.save(patches, folder / "pathology" / "features" / f"{number}_{slide}.pt")
        if place != 1:
            features = torch.from_numpy(random.normal(size=(1, 320))).float()
            torch.save(features, folder / "radiology" / "features" / f"{number}_0001_features.pt")
    return folder
