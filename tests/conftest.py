"""Settings and small cohorts that all tests share."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

# Without a deadline: a busy machine is not a wrong result. Derandomised: a test tells the same at every run.
settings.register_profile("medmd", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("medmd")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("MEDMD_REAL_DATA"):
        return
    reason = pytest.mark.skip(reason="set MEDMD_REAL_DATA to the folder of the real data sets")
    for item in items:
        if item.get_closest_marker("real_data"):
            item.add_marker(reason)


def pytest_configure() -> None:
    # Before anything imports pyplot: no window system is asked for.
    os.environ.setdefault("MPLBACKEND", "Agg")


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _own_signals() -> Iterator[None]:
    """A bundle takes over SIGTERM and Ctrl-C until its process ends; here the next test has the same process."""
    yield
    from medmd.utils import STOP

    STOP.restore()


@pytest.fixture
def real_data() -> Path:
    """The folder of the real data sets; the test that asks for it bears the mark `real_data`."""
    folder = os.environ.get("MEDMD_REAL_DATA")
    if not folder:
        pytest.skip("set MEDMD_REAL_DATA to the folder of the real data sets")
    return Path(folder)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """A factory of file systems in memory: `small_disk("64k") -> folder`; `small_disk.read_only(folder)` closes one."""

    def call(*words: str) -> None:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"file systems cannot be mounted here: {done.stderr.strip()}")

    mounted: list[Path] = []

    def make(size: str) -> Path:
        if shutil.which("mount") is None:
            pytest.skip("there is no mount command here")
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        call("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
        mounted.append(folder)
        return folder

    make.read_only = lambda folder: call("mount", "-o", "remount,ro", str(folder))  # type: ignore[attr-defined]
    make.writable = lambda folder: call("mount", "-o", "remount,rw", str(folder))  # type: ignore[attr-defined]
    yield make
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def make_datalist(tmp_path: Path) -> Callable[..., Path]:
    """A factory of small cohorts on disk, written by the real writer: `make_datalist(patients=6, …) -> path`.

    Each patient has two eyes. An eye has a 8 x 10 x 6 uint8 volume `oct` (along-scan, depth, slice), a 12 x 14 RGB
    photograph `fundus` and an MD between -20 and 0 dB. `missing` maps case numbers to the input that is absent,
    `unsplit` leaves the cases in one list instead of training, validation and testing (4 : 1 : 1 patients).
    """

    def make(*, patients: int = 6, seed: int = 0, unsplit: bool = False, missing: dict[int, str] | None = None) -> Path:
        from medmd.data import Case, Datalist, Header, InputSpec, write_datalist

        random = np.random.RandomState(seed)
        folder = tmp_path / f"cohort-{patients}-{seed}"
        cases = []
        for number in range(2 * patients):
            patient, eye = divmod(number, 2)
            inputs, hashes = _write_eye(folder, f"c{number:03d}", random)
            absent = (missing or {}).get(number)
            if absent:
                inputs[absent] = None
                del hashes[absent]
            cases.append(
                Case(
                    case_id=f"c{number:03d}",
                    patient_id=f"p{patient:03d}",
                    inputs=inputs,
                    target=round(float(-20 * random.rand()), 2),
                    laterality="RL"[eye],
                    age=50.0 + patient,
                    hashes=hashes,
                )
            )
        path = folder / "datalist.json"
        header = Header(
            name="tiny",
            description="Noise for tests.",
            inputs={"oct": InputSpec(kind="volume"), "fundus": InputSpec(kind="image")},
            source="synthetic",
            converter="tests",
        )
        write_datalist(path, Datalist(header=header, splits={"unsplit": cases} if unsplit else _three_parts(cases)))
        return path

    return make


@pytest.fixture(scope="session")
def untrained_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that holds nothing but a model of the tiny preset with random weights, for small volumes."""
    import torch
    from monai.bundle import ConfigParser

    from medmd.networks import build_network
    from medmd.workflows import resolve_literals, write_model_folder

    bundle = Path(__file__).parents[1] / "bundles" / "remd"
    config = ConfigParser.load_config_files([str(bundle / "train.json"), str(bundle / "presets" / "tiny.json")])
    config["retina_band"] = 10
    description = resolve_literals(config, "network")
    torch.manual_seed(0)
    network = build_network(description)
    network.set_output_bias(-6.0)
    folder = tmp_path_factory.mktemp("untrained")
    write_model_folder(
        folder / "model",
        network=network,
        description=description,
        preprocessing=resolve_literals(config, "preprocessing"),
        facts={
            "method": "none",
            "inputs": {"oct": "volume", "fundus": "image"},
            "target": {"name": "md", "unit": "dB", "range": [-40.0, 6.0]},
        },
    )
    return folder


def _three_parts(cases: list) -> dict[str, list]:
    patients = sorted({case.patient_id for case in cases})
    share = max(1, len(patients) // 6)
    part = dict.fromkeys(patients[-share:], "testing")
    part |= dict.fromkeys(patients[-2 * share : -share], "validation")
    splits: dict[str, list] = {"training": [], "validation": [], "testing": []}
    for case in cases:
        splits[part.get(case.patient_id, "training")].append(case)
    return splits


def _write_eye(folder: Path, name: str, random: np.random.RandomState) -> tuple[dict, dict]:
    import nibabel as nib
    from PIL import Image

    from medmd.utils import sha256_file

    inputs: dict = {"oct": f"oct/{name}.nii.gz", "fundus": f"fundus/{name}.png"}
    for relative in inputs.values():
        (folder / relative).parent.mkdir(parents=True, exist_ok=True)
    volume = random.randint(0, 256, (8, 10, 6)).astype(np.uint8)
    nib.save(nib.Nifti1Image(volume, np.diag([0.01, 0.004, 0.1, 1.0])), folder / inputs["oct"])
    Image.fromarray(random.randint(0, 256, (12, 14, 3)).astype(np.uint8)).save(folder / inputs["fundus"])
    return inputs, {key: sha256_file(folder / relative) for key, relative in inputs.items()}
