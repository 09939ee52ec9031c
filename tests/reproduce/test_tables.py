from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from benchmark_work import noisy, write_work

from medmd.benchmark import load_runs
from medmd.metrics import regression_metrics
from medmd.reproduce import ITEMS, Options, Sources, paper, reproduce, select, write_page
from medmd.utils import MedmdError

FAST = Options(replicates=50, permutations=99)
# The variance that each printed row of Table 1 implies, computed by hand for both data sets.
IMPLIED = {
    "baseline_oct": (8.64, 25.6),
    "baseline_fusion": (7.38, 26.7),
    "eyemost": (10.48, 30.7),
    "sf3d": (4.51, 30.5),
    "conr_oct": (8.10, 34.6),
    "echomen_fusion": (7.72, 30.6),
    "remd_fusion": (6.68, 34.4),
}


def csv(page, tmp_path):
    write_page(tmp_path, page)
    return pd.read_csv(tmp_path / f"{page.name}.csv").set_index("row")


def test_the_printed_tables_are_whole():
    assert len(paper()["table1"]) == 22
    assert len(paper()["table2"]) == 7
    assert paper()["table1"]["remd_fusion"]["in-house"] == {"r2": 0.229, "mse": 26.5, "mae": 4.62}
    assert paper()["table2"]["remd"]["STAGE2"] == paper()["table1"]["remd_fusion"]["STAGE2"]
    assert paper()["table2"]["baseline"]["STAGE2"] == paper()["table1"]["baseline_fusion"]["STAGE2"]
    for row, expected in IMPLIED.items():
        values = [paper()["table1"][row][name] for name in ("STAGE2", "in-house")]
        found = [value["mse"] / (1 - value["r2"]) for value in values]
        assert found == pytest.approx(expected, rel=0.005)


def test_every_printed_row_belongs_to_a_line():
    for table in ("table1", "table2"):
        item = ITEMS[table]
        keys = {
            line.printed.replace("*", name) for line in item.lines if line.printed for name in ("oct", "fundus", "")
        }
        assert set(paper()[table]) <= keys


def test_lines_are_found_by_what_they_are_not_by_name(runs):
    found = select(runs, ITEMS["table1"].lines, "grape")
    assert found.found["uniform_sum"] == "control"
    assert found.found["remd"] == found.found["remd_*"] == "full"
    assert found.found["unimodal_*"] == found.found["late_average"] == "alone"
    assert found.found["constant"] == "mean"
    missing = [line.name for line in found.missing]
    assert "eyemost" in missing
    assert "stage1_weight_0" in missing, "its overlays are those of the single modalities, its stages are not"
    assert "remd" not in missing


def test_table1_shows_ours_beside_the_printed(runs, tmp_path):
    page = reproduce("table1", Sources(runs=runs), options=FAST)
    lines = csv(page, tmp_path)
    rows = runs.predictions("grape")
    ours = rows[rows["row"] == "full"]
    expected = regression_metrics(ours["target"], ours["prediction"])
    assert lines.loc["remd", "mse"] == pytest.approx(expected["mse"])
    assert lines.loc["remd", "r2"] == pytest.approx(expected["r2"])
    assert lines.loc["remd", "printed_STAGE2_mse"] == 2.50
    assert lines.loc["unimodal_oct", "printed_in-house_mae"] == 5.15
    assert lines.loc["remd_fundus", "printed_STAGE2_r2"] == 0.601
    text = (tmp_path / "table1.md").read_text()
    assert "0.626, 2.50, 1.16" in text
    assert "4.5 to 10.5 (STAGE2)" in text
    assert "25.6 to 34.6 (in-house)" in text
    assert "EyeMoSt+" in text.split("Without a finished run on grape:")[1]
    assert "eyemost" in page.missing
    printed = pd.read_csv(tmp_path / "table1.csv")["printed_STAGE2_mse"].dropna()
    assert len(printed) == 22


def test_a_number_is_bold_only_when_tested(tmp_path):
    spreads = {"joint_loss": 2.5, "uniform_sum": 2.0, "remd": 0.3}
    write_work(tmp_path, {name: {"fusion": noisy(spread)} for name, spread in spreads.items()}, patients=60)
    runs = load_runs(tmp_path)
    clear = reproduce("table1", Sources(runs=runs), options=FAST).text()
    tested = [line for line in clear.splitlines() if line.startswith("**")]
    assert [line.split("**")[1] for line in tested] == ["Re-M3Dr"]
    unsure = Options(replicates=50, permutations=99, correction="none")
    assert "**" not in reproduce("table1", Sources(runs=runs), options=unsure).text()


def test_table2_has_the_corrected_labels(runs, tmp_path):
    lines = csv(reproduce("table2", Sources(runs=runs), options=FAST), tmp_path)
    assert lines.loc["remd", "printed_STAGE2_mse"] == 2.50
    assert lines.loc["am_fundus", "printed_STAGE2_mse"] == 2.87
    text = (tmp_path / "table2.md").read_text()
    assert "| without AM: the margin stays | – | – | – | – | – | – | 0.611, 2.95, 1.26 |" in text


def test_a_row_of_the_ablation_is_not_taken_for_a_modality(runs, tmp_path):
    page = reproduce("table2", Sources(runs=runs), options=FAST)
    lines = csv(page, tmp_path)
    measured = [row["row"] for row in page.numbers if row["row"]]
    assert len(set(measured)) == len(measured), "each row once"
    assert set(lines[lines["line"] == "am_*"].index) == {"am_oct", "am_fundus"}
    assert lines.loc["am_uniform_sum", "title"] == "without SGM: AM + UniformSum"
    assert lines.loc["am_uniform_sum", "printed_STAGE2_mse"] == paper()["table2"]["am_fusion"]["STAGE2"]["mse"]
    assert lines.loc["am_mmpareto", "title"] == "AM + MMPareto"
    assert lines.loc["am_mmpareto", "runs_of"] == "am_pareto"
    table = runs.predictions("grape")
    ours = table[table["row"] == "am_sum"]
    expected = regression_metrics(ours["target"], ours["prediction"])["mse"]
    assert lines.loc["am_uniform_sum", "mse"] == pytest.approx(expected)


def test_a_data_set_has_to_be_chosen(tmp_path):
    write_work(tmp_path, {"a": {"fusion": noisy(1.0)}}, datasets=("x", "y"))
    runs = load_runs(tmp_path)
    with pytest.raises(MedmdError, match=r"--dataset: expected one of x, y"):
        reproduce("table1", Sources(runs=runs))
    with pytest.raises(MedmdError, match=r"--dataset: expected one of x, y; got grabe"):
        reproduce("settings", Sources(runs=runs, dataset="grabe"))
    with pytest.raises(MedmdError, match="--work"):
        reproduce("fig1", Sources())
    with pytest.raises(MedmdError, match="Did you mean 'table1'"):
        reproduce("tabel1", Sources())


def test_without_any_run_the_printed_numbers_stand_alone(tmp_path):
    write_work(tmp_path, {"zebra": {"fusion": noisy(1.0)}})
    page = reproduce("table1", Sources(runs=load_runs(tmp_path)), options=FAST)
    assert "0.626, 2.50, 1.16" in page.text()
    assert len(page.missing) == len(ITEMS["table1"].lines)


def test_figure_1_says_which_fusion_is_worse(runs, tmp_path):
    page = reproduce("fig1", Sources(runs=runs), options=FAST)
    assert [path.name for path in write_page(tmp_path, page)] == ["fig1.md", "fig1.csv", "fig1.png"]
    numbers = {row["row"]: row["mse"] for row in page.numbers if row["row"]}
    verdict = page.text().split("Fused rows that are worse: ")[1]
    best = min(numbers["unimodal_oct"], numbers["unimodal_fundus"])
    assert ("one joint loss" in verdict) == (numbers["joint_loss"] > best)
    assert "Re-M3Dr" not in verdict.split(".")[0]


def test_figure_6_has_a_panel_a_setting(runs, tmp_path):
    page = reproduce("fig6", Sources(runs=runs), options=FAST)
    assert [(row["panel"], row["value"]) for row in page.numbers] == [("gamma, AdamW", "2"), ("gamma, AdamW", "5")]
    assert "remd_m0_0.4" in page.missing
    assert "over 2 values" in page.text()
    assert (tmp_path / "fig6.png") in write_page(tmp_path, page)


def test_settings_take_their_data_sets(tmp_path):
    folder = tmp_path / "work"
    methods = {"sgm+no_pretraining": {"fusion": noisy(1.0)}, "joint_loss": {"fusion": noisy(2.0)}}
    write_work(folder, methods, datasets=("mosi", "gamma"),
               targets=lambda _, count: np.arange(count) % 3.0)  # fmt: skip
    page = reproduce("settings", Sources(runs=load_runs(folder)), options=FAST)
    text = page.text()
    assert "Not measured: no data set of this setting was run (rsna_bone_age, age_db)." in text
    assert "Setting 2: multimodal regression\n\nmosi:" in text
    classes = [row for row in page.numbers if row["dataset"] == "gamma" and row["row"] == "joint_loss"]
    assert classes[0]["error_rate"] == 1.0


def test_tables_of_other_networks_and_optimizers(runs):
    optimizers = reproduce("optimizers", Sources(runs=runs), options=FAST)
    assert {row["row"] for row in optimizers.numbers if row["row"]} == {"uniform_sum_adamw", "remd_adamw"}
    backbones = reproduce("backbones", Sources(runs=runs), options=FAST)
    assert "remd_vit" in backbones.missing
    assert "appendix that is not public" in backbones.text()


def test_figure_1_by_r2_calls_the_larger_one_better(runs):
    page = reproduce("fig1", Sources(runs=runs), options=replace(FAST, statistic="r2"))
    numbers = {row["row"]: row["r2"] for row in page.numbers if row["row"]}
    best = max(("unimodal_oct", "unimodal_fundus"), key=numbers.get)
    verdict = page.text().split("The best single modality is ")[1]

    assert verdict.startswith(next(row["title"] for row in page.numbers if row["row"] == best))
    assert "Re-M3Dr" not in verdict.split("Fused rows that are worse: ")[1].split(".")[0]


def test_lines_without_runs_are_told_apart(runs):
    told = reproduce("settings", Sources(runs=runs), options=FAST).text()
    assert "*, alone" not in told
    told = reproduce("table1", Sources(runs=runs), options=FAST).text()
    assert "EyeMoSt; EyeMoSt+; SAM" in told


def test_a_page_of_numbers_is_not_made_of_classes(tmp_path):
    write_work(tmp_path, {"joint_loss": {"fusion": noisy(2.0)}, "remd": {"fusion": noisy(1.0)}})
    for path in (tmp_path / "runs").rglob("predictions.csv"):
        table = pd.read_csv(path)
        if "fusion" in table:
            table.assign(fusion_p0=1.0).to_csv(path, index=False)
    with pytest.raises(MedmdError, match="first: its targets are classes"):
        reproduce("table1", Sources(runs=load_runs(tmp_path)), options=FAST)
