"""A small Harvard-GF that a test may change."""

import shutil
from pathlib import Path

import pytest
from harvard_release import write_gf


@pytest.fixture(scope="session")
def plain_gf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gf(tmp_path_factory.mktemp("plain") / "Harvard-GF")


@pytest.fixture
def gf(tmp_path: Path, plain_gf: Path) -> Path:
    return shutil.copytree(plain_gf, tmp_path / "Harvard-GF")
