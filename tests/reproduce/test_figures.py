import json

import numpy as np
import pandas as pd
import pytest
import torch
from benchmark_work import noisy, write_work
from scipy.optimize import approx_fprime
from scipy.stats import norm

from medmd.benchmark import load_runs
from medmd.metrics import regression_metrics
from medmd.reproduce import ITEMS, Options, Sources, reproduce, trainings, write_page
from medmd.reproduce._curves import loss_curves, roughness
from medmd.reproduce._figures import _mark
from medmd.reproduce._landscape import filter_direction, loss_slice
from medmd.reproduce._modulation import step_table
from medmd.reproduce._propositions import FLAT, SHARP, descend, gradient, largest_curvature, loss
from medmd.reproduce._tail import density_regions
from medmd.utils import MedmdError

FAST = Options(replicates=50, permutations=99)


def test_regions_follow_the_density_of_labels():
    labels = norm.ppf(np.linspace(0.001, 0.999, 2001))
    regions = density_regions(labels)
    edges = regions.edges()
    # Of a normal density: a half of the peak at 1.18 SD, a tenth at 2.15 SD, a little farther by the kernel's width.
    assert edges["many"][0] == pytest.approx((-1.18, 1.18), abs=0.08)
    assert edges["few"][0][1] == pytest.approx(-2.15, abs=0.15)
    # No region reaches beyond the labels, however far the kernel does.
    assert edges["few"][0][0] == labels.min()
    assert edges["few"][-1][1] == labels.max()
    groups = regions.groups([0.0, 1.6, -9.0, 9.0])
    assert groups["many"].tolist() == [True, False, False, False]
    assert groups["medium"].tolist() == [False, True, False, False]
    assert groups["few"].tolist() == [False, False, True, True]
    scaled = density_regions(labels * 100 - 7).edges()
    assert scaled["many"][0] == pytest.approx(np.array(edges["many"][0]) * 100 - 7)
    with pytest.raises(MedmdError, match="training labels"):
        density_regions([1.0] * 50)


def test_the_tail_page_splits_every_case(runs, tmp_path):
    page = reproduce("tail", Sources(runs=runs), options=FAST)
    by_row = [row for row in page.numbers if row["row"] == "remd"]
    assert [row["region"] for row in by_row] == ["many", "medium", "few"]
    assert sum(row["cases"] for row in by_row) == 60
    rows = runs.predictions("grape")
    ours = rows[rows["row"] == "full"]
    expected = regression_metrics(ours["target"], ours["prediction"])["mae"]
    weighted = sum(row["cases"] * row["estimate"] for row in by_row) / 60
    assert weighted == pytest.approx(expected)
    assert "--datalist" in page.text()
    assert (tmp_path / "tail.png") in write_page(tmp_path, page)


def test_rows_beyond_the_last_colour_differ_in_their_marker():
    assert len({_mark(place) for place in range(49)}) == 49


def test_the_tail_takes_training_labels_from_folds(tmp_path):
    from benchmark_work import noisy, write_work

    write_work(tmp_path, {"joint_loss": {"fusion": noisy(1.0)}}, folds=4, patients=40)
    text = reproduce("tail", Sources(runs=load_runs(tmp_path)), options=FAST).text()
    assert "80 labels (all cases of the folds" in text


def test_the_gradient_of_the_landscape_is_its_gradient():
    for point in np.random.default_rng(0).uniform(-4, 4, (20, 2)):
        np.testing.assert_allclose(gradient(point), approx_fprime(point, loss, 1e-7), atol=1e-5)
    assert largest_curvature(SHARP) > 5 * largest_curvature(FLAT)
    assert loss(FLAT) < loss(SHARP)


def test_descents_end_where_the_stability_limit_says():
    # Stable at a minimum when rate * gamma < 2 / curvature.
    limit = 2 / largest_curvature(SHARP) / 0.1
    start = (SHARP + 0.05).tolist()
    assert descend(start, rule="fixed", gamma=0.8 * limit).basin == "sharp"
    beyond = descend(start, rule="fixed", gamma=4 * limit, steps=2000)
    assert beyond.crossed
    assert not descend(start, rule="fixed", gamma=0.8 * limit).crossed
    too_far = 4 * 2 / largest_curvature(FLAT) / 0.1
    assert descend((FLAT + 0.05).tolist(), rule="fixed", gamma=too_far).basin == "none"


def test_the_dynamic_rules_scale_by_sharpness():
    paper = descend([-1.2, 0.3], rule="paper", gamma=1.0, noise=0.3)
    inverse = descend([-1.2, 0.3], rule="inverse", gamma=1.0, noise=0.3)
    assert np.corrcoef(paper.sharpness[50:], paper.gammas[50:])[0, 1] > 0.8
    assert np.corrcoef(inverse.sharpness[50:], inverse.gammas[50:])[0, 1] < -0.5
    assert 1 / 3 <= paper.gammas.min() <= paper.gammas.max() <= 3
    assert set(descend([-1.2, 0.3], rule="fixed", gamma=2.0).gammas) == {2.0}


def test_the_page_of_the_propositions_says_what_it_is_not(tmp_path):
    page = reproduce("propositions", Sources())
    assert "proves nothing" in page.text()
    assert "convergence too, are in an appendix that is not public" in page.text()
    assert len(page.numbers) == 24
    fixed = [row for row in page.numbers if row["rule"] == "fixed" and row["in_flat"] > 18]
    assert ("a fixed gamma can do both" in page.text()) == bool(fixed)
    assert (tmp_path / "propositions.png") in write_page(tmp_path, page)


def test_directions_have_the_length_of_each_filter():
    network = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3), torch.nn.Linear(4, 2))
    directions = filter_direction(network, seed=0)
    for parameter, direction in zip(network.parameters(), directions, strict=True):
        if parameter.ndim > 1:
            torch.testing.assert_close(direction.flatten(1).norm(dim=1), parameter.detach().flatten(1).norm(dim=1))
        else:
            assert not direction.any()
    assert not torch.equal(directions[0], filter_direction(network, seed=1)[0])


def test_a_slice_is_the_loss_there_and_leaves_the_weights_alone():
    network = torch.nn.Linear(3, 1, bias=False)
    weights = network.weight.detach().clone()
    directions = [[torch.tensor([[1.0, 0.0, 0.0]])], [torch.tensor([[0.0, 1.0, 0.0]])]]
    steps = np.linspace(-1, 1, 5)
    found = loss_slice(network, lambda: (network.weight - weights).square().sum(), directions, steps=steps)
    np.testing.assert_allclose(found.values, steps[:, None] ** 2 + steps[None, :] ** 2, atol=1e-6)
    assert torch.equal(network.weight, weights)
    line = loss_slice(network, lambda: (network.weight - weights).square().sum(), directions[:1], steps=steps)
    assert line.rise == pytest.approx(1.0)
    # The border of the plane: 16 points of 25.
    assert found.rise == pytest.approx((4 * 2 + 8 * 1.25 + 4 * 1) / 16)


def history(rows):
    return pd.DataFrame(rows, columns=["stage", "epoch", "iteration", "name", "value"])


def test_curves_are_means_of_epochs():
    table = history(
        [
            ("pretrain", 1, 1, "oct/regression", 3.0),
            ("pretrain", 1, 2, "oct/regression", 1.0),
            ("pretrain", 2, 3, "oct/regression", 1.0),
            ("pretrain", 2, 3, "oct/loss", 9.0),
            ("train", 1, 1, "loss_oct", 5.0),
            ("train", 1, 1, "loss_fusion", 7.0),
            ("train", 1, 1, "loss", 12.0),
        ]
    )
    assert loss_curves(table, "alone")["oct"].tolist() == [[1.0, 2.0], [2.0, 1.0]]
    assert {name: curve.tolist() for name, curve in loss_curves(table, "mmpareto").items()} == {"oct": [[1.0, 5.0]]}
    straight = np.column_stack([np.arange(9.0), np.arange(9.0)])
    assert roughness(straight) == 0.0
    assert roughness(np.column_stack([np.arange(9.0), np.arange(9.0) % 2])) > 1
    assert np.isnan(roughness(straight[:2]))


def test_figure_5_says_what_sharpness_is(tmp_path):
    generator = np.random.default_rng(0)
    norms = generator.gamma(2.0, size=200)
    curvature = generator.normal(size=200)
    rows = []
    for step in range(200):
        values = {"gamma": norms[step], "sharpness": 0.1 * norms[step], "gradient_norm": norms[step]}
        rows += [("train", 1, step, name, value) for name, value in {**values, "curvature": curvature[step]}.items()]
    history(rows).to_csv(tmp_path / "history.csv", index=False)
    page = reproduce("fig5", Sources(trainings={"sgm-all": tmp_path}))
    assert "Sharpness goes with the length of the gradient (1.00) more than" in page.text()
    assert [path.name for path in write_page(tmp_path / "out", page)][2:] == ["fig5.png", "fig5_origin.png"]
    with pytest.raises(MedmdError, match="no gamma"):
        step_table(history([("train", 1, 1, "loss", 1.0)]))
    assert reproduce("fig5", Sources()).missing == ["run with history"]


def test_cost_reads_what_was_measured(runs, tmp_path):
    values = {"flop_ratio": 2.4149, "wall_ratio": 3.5, "processor_ratio": 3.4, "wall_fastest_ratio": 3.0,
              "peak_memory_mb": 1450.0}  # fmt: skip
    (tmp_path / "cost.json").write_text(json.dumps({"environment": {"batch": 4}, "sizes": {"64": {"sgm": values}}}))
    page = reproduce("cost", Sources(runs=runs, step_cost=tmp_path / "cost.json"))
    assert "2.41" in page.text()
    assert {row["method"] for row in page.numbers} >= {"sgm", "full", "joint"}
    assert reproduce("cost", Sources()).missing == ["step_cost"]
    (tmp_path / "other.json").write_text("[]")
    with pytest.raises(MedmdError, match=r"step_cost\.py"):
        reproduce("cost", Sources(step_cost=tmp_path / "other.json"))


def test_figure_2_names_the_trainings_that_it_lacks():
    assert len(trainings()) == 9
    page = reproduce("fig2", Sources())
    assert page.missing == list(trainings())
    assert ITEMS["fig2"].kind == "curves"


def test_labels_too_few_for_a_density_are_told_with_their_source(tmp_path):
    write_work(tmp_path, {"uniform_sum": {"fusion": noisy(2.0)}, "remd": {"fusion": noisy(1.0)}}, patients=8)
    with pytest.raises(MedmdError, match=r"first: density of labels: .* --datalist"):
        reproduce("tail", Sources(runs=load_runs(tmp_path)), options=FAST)
