import importlib
import json
import re
from pathlib import Path

import pytest
import torch

from medmd.data import load_datalist
from medmd.data._schema import violations

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts)])
CONFIG = json.loads((ROOT / "bundles/remd/train.json").read_text())


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def run_snippet(page, number=0):
    names = {}
    exec(compile(blocks(ROOT / page, "python")[number], page, "exec"), names)  # noqa: S102 - our own pages
    return names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_files(page):
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_json_and_python_blocks_are_well_formed(page):
    for text in blocks(page, "json"):
        json.loads(text)
    for text in blocks(page, "python"):
        compile(text, page.name, "exec")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_imports_in_python_blocks_exist(page):
    for text in blocks(page, "python"):
        for module, names in re.findall(r"^from (medmd[\w.]*) import (.+)$", text, flags=re.MULTILINE):
            for name in names.split(", "):
                assert hasattr(importlib.import_module(module), name), f"{module}.{name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_settings_on_command_lines_exist(page):
    lines = "\n".join(blocks(page, "sh")).splitlines()
    others = ("medmd ", "mlflow ", "python -m data_prep.")
    ours = "\n".join(line for line in lines if not line.startswith(others))
    for name in re.findall(r"(?<=\s|\")--([a-z_]+)(?:#\w+)? (?!\.)", ours):
        assert name in CONFIG or name == "config_file", f"--{name}"


def test_the_table_of_settings_names_settings():
    table = (ROOT / "docs/reference/configuration.md").read_text().split("## The settings")[1].split("\n## ")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]
    assert len(named) > 30
    for name in named:
        top, _, below = name.partition("#")
        assert top in CONFIG, name
        assert not below or below in CONFIG[top], name


def test_the_datalist_of_the_reference_obeys_the_schema(tmp_path):
    (document,) = blocks(ROOT / "docs/reference/datalist.md", "json")
    assert list(violations(json.loads(document))) == []
    (tmp_path / "datalist.json").write_text(document)
    assert load_datalist(tmp_path / "datalist.json").splits["training"][0].target == -4.2


def test_the_incomplete_case_obeys_the_schema():
    (document,) = blocks(ROOT / "docs/reference/datalist.md", "json")
    case, _ = blocks(ROOT / "docs/how-to/missing-modalities.md", "json")
    assert list(violations(json.loads(document) | {"training": [json.loads(case)]})) == []


def test_the_dropout_of_the_how_to_can_be_built():
    _, text = blocks(ROOT / "docs/how-to/missing-modalities.md", "json")
    described = json.loads(text)
    module, _, name = described.pop("_target_").rpartition(".")
    transform = getattr(importlib.import_module(module), name)(**described)
    item = transform({"oct": 1, "fundus": 2})
    assert set(item) <= {"oct", "fundus"}
    assert item


def test_writing_a_datalist_as_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_snippet("docs/how-to/train-on-your-data.md")
    read = load_datalist(tmp_path / "my_eyes/datalist.json")
    assert [case.case_id for _, case in read.cases()] == ["e0001"]


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.shared = torch.nn.Linear(3, 2)
        self.head = torch.nn.Linear(2, 1)

    def losses(self, inputs):
        from medmd.balancing import Losses

        features = self.shared(inputs)
        return Losses(fusion=self.head(features).square().mean(), unimodal={"a": features.square().mean()})


def test_the_example_of_a_balancing_method_does_what_it_says():
    torch.manual_seed(0)
    method = run_snippet("docs/how-to/add-a-balancing-method.md")["WeightedFusion"]
    model, first, second = Net(), torch.randn(4, 3), torch.randn(4, 3)
    logged = method(weight=3.0).backward(model, lambda: model.losses(first), lambda: model.losses(second))
    found = [parameter.grad.clone() for parameter in model.parameters()]
    loss = sum(3 * losses.fusion + losses.unimodal["a"] for losses in (model.losses(first), model.losses(second)))
    expected = torch.autograd.grad(loss, list(model.parameters()))
    torch.testing.assert_close(found, list(expected))
    torch.testing.assert_close(logged["loss"], loss.detach())
    with pytest.raises(ValueError, match="weight"):
        method(weight=0.0)


def test_the_readme_tells_what_was_measured():
    measured = json.loads((ROOT / "docs/results/main_job.json").read_text())
    text = (ROOT / "README.md").read_text()
    assert f"{measured['seconds'] / 60:.1f} minutes and {measured['peak_memory_mib'] / 1024:.1f} GiB" in text
    rows = (
        "pretrain_oct",
        "pretrain_fundus",
        "late_average",
        "fusion",
        "reference_information",
        "reference_label_noise",
    )
    for name in rows:
        r2, mae = measured["overall"][name]["r2"], measured["overall"][name]["mae"]["estimate"]
        assert f"| {r2['estimate']:.3f} [{r2['low']:.2f}, {r2['high']:.2f}] | {mae:.2f} |" in text, name
