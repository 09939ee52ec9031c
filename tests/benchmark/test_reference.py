"""The reference names the keys that a plan has."""

import re
from pathlib import Path

import pytest
import yaml

from medmd.benchmark import _plan_read as reading
from medmd.benchmark import make_plan

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "reference" / "plan.md").read_text()


@pytest.mark.parametrize(
    ("section", "known"),
    [
        ("plan", reading._PLAN),
        ("datasets", reading._DATASET),
        ("methods", reading._METHOD),
        ("tuning", reading._TUNING),
        ("limits", reading._LIMITS),
    ],
)
def test_the_tables_name_every_key(section, known):
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]

    assert {name for cell in cells for name in re.findall(r"`(\w+)`", cell)} == set(known)


def test_the_plan_of_the_how_to_can_be_read(tmp_path):
    (text,) = re.findall(r"```yaml\n(.*?)```", (DOCS / "how-to/run-a-benchmark.md").read_text(), flags=re.DOTALL)
    plan = make_plan(yaml.safe_load(text), folder=tmp_path)

    assert [method.name for dataset, method in plan.pairs()][:2] == ["uniform_sum", "stage1_weight_0"]
