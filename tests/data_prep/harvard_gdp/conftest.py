"""A small Harvard-GDP that a test may change."""

from pathlib import Path

import pytest
from harvard_release import write_gdp


@pytest.fixture
def gdp(tmp_path: Path) -> Path:
    return write_gdp(tmp_path / "Harvard-GDP")
