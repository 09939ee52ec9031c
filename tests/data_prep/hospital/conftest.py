"""Small exports of a hospital, and conversions of them in this process."""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from clinical_dicom_export import default_eyes, write_pacs_export

KEY = b"a key of at least 16 bytes"
# Synthetic volumes are small and bright.
SITE = "name: clinic\noct: {min_slices: 4}\nquality: {max_saturated_volume: 1.0}\n"
# Of the index and the journal of SQLite, and of the journal of files, which is sorted only at the end.
_NOT_COMPARED = (".medmd-index.sqlite",)


class InProcess:
    """A pool without processes, so that coverage sees the work and a test starts at once."""

    def __init__(self) -> None:
        self.done: list[tuple[str, Any]] = []

    def map(self, function, items, *, lost):
        for item in items:
            self.done.append((function.__name__, item))
            yield function(item)

    def count(self, name: str) -> int:
        return sum(function == name for function, _ in self.done)


@pytest.fixture
def pool(monkeypatch) -> InProcess:
    """Every conversion of the test works in this process; tells what was done."""
    from data_prep.hospital import _convert

    inside = InProcess()

    @contextmanager
    def open_pool(**_: Any) -> Iterator[InProcess]:
        yield inside

    monkeypatch.setattr(_convert, "open_pool", open_pool)
    return inside


@pytest.fixture(scope="session")
def plain_export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export that `export` copies."""
    root = tmp_path_factory.mktemp("plain") / "export"
    write_pacs_export(root, eyes=default_eyes(4), shape=(6, 32, 24))
    return root


@pytest.fixture
def export(tmp_path: Path, plain_export: Path) -> Path:
    """Four patients, seven eyes, each with volume, photograph and visual field."""
    shutil.copytree(plain_export, tmp_path / "export")
    return tmp_path / "export"


@pytest.fixture
def run(tmp_path: Path, export: Path) -> Callable[..., Any]:
    """`run(site=…, source=…, out=…) -> report`."""
    from data_prep.hospital import convert

    def call(*, site: str = SITE, source: Path = export, out: str = "out", key: bytes = KEY, **options: Any) -> Any:
        config = tmp_path / "site.yaml"
        config.write_text(site, encoding="utf-8")
        return convert(source, tmp_path / out, config=config, key=key, **options)

    return call


@pytest.fixture(scope="session")
def snapshot() -> Callable[[Path], dict[str, str]]:
    """Digest of every file of a result but the index."""

    def take(folder: Path) -> dict[str, str]:
        return {
            path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and not path.name.startswith(_NOT_COMPARED)
        }

    return take
