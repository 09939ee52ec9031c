import io
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from medmd.report import draw_figures, evaluate_predictions, predictor_label
from medmd.report._figures_history import margin_figure, series, training_curves_figure
from medmd.report._figures_modulation import conflict_figure, modulation_figure
from medmd.report._figures_predictions import bland_altman_figure, predictors_figure, scatter_figure, severity_figure
from medmd.report._style import png, running


@pytest.fixture
def evaluation(table):
    return evaluate_predictions(table, replicates=50)


@pytest.fixture
def rows(table):
    return table[table["split"] == "testing"]


def points(axis):
    """All points that scatter drew, (N, 2)."""
    return np.concatenate([np.asarray(found.get_offsets()) for found in axis.collections])


def line(axis, label):
    (found,) = [entry for entry in axis.get_lines() if entry.get_label() == label]
    return found.get_xydata()


def test_scatter_shows_every_case_once_with_the_identity(rows, evaluation):
    axis = scatter_figure(rows, evaluation, "fusion", predictor_label).axes[0]
    expected = rows[["target", "fusion"]].to_numpy()
    assert sorted(points(axis).tolist()) == pytest.approx(np.array(sorted(expected.tolist())))
    diagonal = line(axis, "perfect prediction")
    assert (diagonal[:, 0] == diagonal[:, 1]).all()
    assert axis.get_xlim() == axis.get_ylim()
    assert axis.get_xlabel() == "measured MD [dB]"
    assert axis.get_ylabel() == "predicted MD [dB]"


def test_bland_altman_lines_are_bias_and_limits(rows, evaluation):
    axis = bland_altman_figure(rows, evaluation, "fusion", predictor_label).axes[0]
    difference = rows["fusion"] - rows["target"]
    half = 1.96 * difference.std(ddof=1)
    heights = sorted(entry.get_ydata()[0] for entry in axis.get_lines())
    assert heights == pytest.approx(sorted([0, difference.mean(), difference.mean() - half, difference.mean() + half]))
    assert sorted(points(axis)[:, 1]) == pytest.approx(sorted(difference))


def test_error_by_severity_shows_the_evaluated_numbers(evaluation):
    axis = severity_figure(evaluation, ["fusion", "late_average"], predictor_label).axes[0]
    drawn = line(axis, "fusion")[:, 1]
    expected = [stratum["metrics"]["fusion"]["mae"]["estimate"] for stratum in evaluation["severity"] if stratum["n"]]
    assert drawn == pytest.approx(expected)
    assert axis.get_xticklabels()[0].get_text().split("\n")[0] == "better than -6 dB"


def test_all_predictors_and_a_cut_axis(table, evaluation):
    axis = predictors_figure(evaluation, predictor_label).axes[0]
    assert axis.get_yticklabels()[0].get_text() == "OCT alone (stage 1)"
    awful = evaluate_predictions(table.assign(fusion=-table["target"] * 3), replicates=50)
    cut = predictors_figure(awful, predictor_label).axes[0]
    assert cut.get_xlim()[0] == pytest.approx(-1.05)
    assert "axis cut at -1" in cut.get_xlabel()


def test_training_curves_are_means_of_epochs_and_validation_rmse(history):
    figure = training_curves_figure(history)
    losses, _, validation, _ = figure.axes
    assert line(losses, "OCT") == pytest.approx(np.array([[epoch, 3 / epoch] for epoch in range(1, 7)]))
    assert line(validation, "OCT") == pytest.approx(np.array([[epoch, (30 / epoch) ** 0.5] for epoch in range(1, 7)]))
    assert validation.get_ylabel() == "validation RMSE [dB]"
    assert {entry.get_label() for entry in figure.axes[1].get_lines()} == {"OCT", "fundus", "fusion", "total"}
    assert "fusion" in {entry.get_label() for entry in figure.axes[3].get_lines()}
    single = training_curves_figure(history[(history["stage"] == "train") & (history["epoch"] == 1)], unit="")
    assert len(single.axes) == 2
    assert single.axes[1].get_ylabel() == "validation RMSE"


def test_stage_one_shows_no_curve_of_the_untrained_fusion(history):
    untrained = history[history["name"] == "val_fusion_mse"].assign(stage="pretrain")
    figure = training_curves_figure(pd.concat([history, untrained], ignore_index=True))
    drawn = [{entry.get_label() for entry in axis.get_lines()} for axis in figure.axes]
    assert "fusion" not in drawn[0] | drawn[2]
    assert "fusion" in drawn[1] & drawn[3]


def test_margin_over_iterations(history):
    figure = margin_figure(history)
    drawn = figure.axes[0].get_lines()[0].get_xydata()
    assert drawn == pytest.approx(np.array([[it, 0.4 * 0.99**it] for it in range(1, 61)]))
    assert len(figure.axes) == 2
    bare = history[~history["name"].str.contains("share")]
    assert len(margin_figure(bare).axes) == 1


def test_modulation_leaves_out_what_has_no_logarithm_and_says_so(history):
    left, middle, right = modulation_figure(history).axes
    assert len(points(left)) == 60
    assert len(points(middle)) == 54
    assert "6 not positive" in middle.get_title(loc="left")
    assert middle.get_yscale() == right.get_xscale() == "log"
    gamma, sharpness = series(history, "train", "gamma"), series(history, "train", "sharpness")
    kept = sharpness[:, 1] > 0
    assert points(right) == pytest.approx(np.column_stack([sharpness[kept, 1], gamma[kept, 1]]))
    assert "Spearman" in right.get_title(loc="left")
    constant = history.assign(value=np.where(history["name"] == "gamma", 1.0, history["value"]))
    assert "Spearman" not in modulation_figure(constant).axes[2].get_title(loc="left")


def test_modulation_panels_have_their_own_names(history):
    figure = modulation_figure(history)
    assert [axis.get_title(loc="left").split(" ")[0] for axis in figure.axes] == ["A", "A'", "B"]
    assert "after warm-up" in figure.get_suptitle()


@pytest.mark.parametrize("span", [1.0, 1.5, 3.0, 7.0, 12.0, 80.0, 300.0])
def test_labels_of_the_sharpness_do_not_overlap(history, span):
    chosen = history["name"] == "sharpness"
    history.loc[chosen, "value"] = 0.0213 * np.geomspace(1, span, chosen.sum())
    figure = modulation_figure(history)
    png(figure)
    right = figure.axes[2]
    left, right_edge = right.get_window_extent().intervalx
    boxes = [label.get_window_extent() for label in right.get_xticklabels(which="both") if label.get_text()]
    shown = sorted((box.x0, box.x1) for box in boxes if box.x1 >= left and box.x0 <= right_edge)
    assert len(shown) >= 2
    assert all(end < start for (_, end), (start, _) in pairwise(shown))


def test_modulation_pairs_by_iteration_when_sharpness_is_probed_rarely(history):
    rare = history[(history["name"] != "sharpness") | (history["iteration"] % 3 == 1)]
    right = modulation_figure(rare).axes[2]
    sharpness = series(rare, "train", "sharpness")
    gamma = dict(series(rare, "train", "gamma").tolist())
    expected = [[value, gamma[it]] for it, value in sharpness.tolist() if value > 0]
    assert points(right) == pytest.approx(np.array(expected))


def test_conflict_shares_by_epoch(history):
    top, bottom = conflict_figure(history).axes
    cosine = history[history["name"] == "cosine"]
    assert len(points(top)) == len(cosine)
    (median,) = [entry for entry in top.get_lines() if entry.get_label() == "running median"]
    assert all(found.get_zorder() > median.get_zorder() for found in top.collections)
    shares = [100 * (values < 0).mean() for _, values in cosine.groupby("epoch")["value"]]
    assert [bar.get_height() for bar in bottom.patches] == pytest.approx(shares)


def test_no_numbers_no_figure(history):
    joint = history[~history["name"].isin(["gamma", "sharpness", "cosine"]) & ~history["name"].str.contains("margin")]
    assert modulation_figure(joint) is None
    assert conflict_figure(joint) is None
    assert margin_figure(joint) is None
    assert training_curves_figure(history.iloc[:0]) is None


def test_draw_figures_gives_pictures_of_a_readable_size(table, evaluation, history):
    pictures = draw_figures(table, evaluation, history=history, label=predictor_label)
    assert [picture.name for picture in pictures] == [
        "scatter",
        "bland_altman",
        "error_by_severity",
        "predictors",
        "training_curves",
        "margin",
        "modulation",
        "conflict",
    ]
    for picture in pictures:
        image = imread(io.BytesIO(picture.content))
        assert image.shape[1] >= 600
        assert image[..., :3].std() > 0.02
    assert [picture.name for picture in draw_figures(table, evaluation)] == [picture.name for picture in pictures[:4]]


def test_equal_figures_are_equal_bytes_without_global_state(rows, evaluation):
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    first = png(scatter_figure(rows, evaluation, "fusion", predictor_label))
    assert first == png(scatter_figure(rows, evaluation, "fusion", predictor_label))
    assert dict(mpl.rcParams) == before


def test_references_alone_and_single_cases_still_draw(table):
    bare = table.drop(columns=["pretrain_oct", "pretrain_fundus", "late_average", "fusion"])
    names = [picture.name for picture in draw_figures(bare, evaluate_predictions(bare, replicates=20))]
    assert names == ["error_by_severity", "predictors"]
    one = table[table["split"] == "testing"].iloc[:1]
    assert len(draw_figures(one, evaluate_predictions(one, replicates=20))) == 4


def test_running_median_follows_a_step_and_ignores_a_spike():
    values = np.column_stack([np.arange(1000.0), np.r_[np.zeros(500), np.ones(500)]])
    values[100, 1] = 50.0
    trend = running(values)
    assert len(trend) == 400
    assert set(trend[:, 1]) <= {0.0, 0.5, 1.0}
    assert running(np.array([[1.0, 5.0]])).tolist() == [[1.0, 5.0]]
