import pytest

from medmd.report import predictor_label
from medmd.report._labels import ordered


@pytest.mark.parametrize(
    ("column", "label"),
    [
        ("fusion", "fusion"),
        ("pretrain_oct", "OCT alone (stage 1)"),
        ("pretrain_fundus", "fundus alone (stage 1)"),
        ("unimodal_oct", "OCT head (stage 2)"),
        ("unimodal_gene_panel", "gene panel head (stage 2)"),
        ("late_average", "late average"),
        ("reference_constant", "constant (training mean)"),
        ("reference_information", "ceiling: information"),
        ("reference_information_oct", "ceiling: information, OCT alone"),
        ("reference_label_noise", "ceiling: label noise"),
        ("reference_expert", "reference: expert"),
        ("my_model", "my_model"),
    ],
)
def test_defaults(column, label):
    assert predictor_label(column) == label


def test_method_and_own_labels():
    assert predictor_label("fusion", method="Re-M3Dr") == "fusion (Re-M3Dr)"
    assert predictor_label("fusion", {"fusion": "ours"}, method="Re-M3Dr") == "ours"


def test_order_of_the_argument():
    given = ["reference_label_noise", "fusion", "reference_information", "reference_constant", "other", "late_average"]
    given += ["unimodal_oct", "pretrain_fundus", "pretrain_oct"]
    assert ordered(given) == [
        "pretrain_fundus",
        "pretrain_oct",
        "unimodal_oct",
        "late_average",
        "other",
        "fusion",
        "reference_constant",
        "reference_information",
        "reference_label_noise",
    ]
