import math

import pytest
import torch

from medmd.engines import StepRecord
from medmd.handlers._diagnosis import advice, diagnose, is_loss

FINE = [1.0, -2.0, 0.5]


def record(present=None, cases=("a", "b", "c"), **columns):
    given = {"target": FINE, "input oct": FINE, "prediction fusion": FINE, "prediction oct": FINE}
    given |= {name.replace("_", " "): values for name, values in columns.items()}
    return StepRecord(
        epoch=2,
        iteration=7,
        case_ids=list(cases),
        modalities=("oct",),
        present=None if present is None else torch.tensor(present)[:, None],
        columns={name: [torch.tensor(values)] for name, values in given.items()},
    )


def test_an_input_is_the_cause_and_what_follows_from_it_is_not_told():
    found = diagnose(record(input_oct=[1.0, math.inf, 1.0], prediction_oct=[math.nan] * 3))
    assert found.text == "Not finite: the input oct of case b."
    assert found.is_data


def test_a_target():
    found = diagnose(record(target=[math.nan, 0.0, math.nan]))
    assert found.text == "Not finite: the target of cases a, c."
    assert found.is_data


def test_a_prediction_of_one_case_and_of_all():
    one = diagnose(record(prediction_fusion=[0.0, 0.0, -math.inf]))
    assert one.text == "Not finite: the prediction from fusion (case c)."
    every = diagnose(record(prediction_oct=[math.nan] * 3))
    assert every.text.startswith("Not finite: every prediction from oct (cases a, b, c). So the step before left")
    assert not one.is_data
    assert not every.is_data


def test_what_a_case_does_not_have_is_not_counted():
    found = diagnose(record(present=[True, False, True], input_oct=[1.0, math.nan, 1.0]))
    assert found.text.startswith("No case alone is at fault")
    two = diagnose(record(present=[True, False, True], prediction_oct=[math.nan, 0.0, math.nan]))
    assert "every prediction from oct (cases a, c)" in two.text


def test_no_case_alone_and_no_record():
    assert "a sum overflowed (cases a, b, c)" in diagnose(record()).text
    assert diagnose(None).text == "Which cases it had was not kept."


def test_two_views_of_a_case_are_one_case_and_a_long_list_is_cut():
    many = [f"c{place}" for place in range(8) for _ in range(2)]
    fine = [0.0] * 16
    found = diagnose(
        record(
            cases=many, target=fine, input_oct=[math.nan] * 16, prediction_fusion=fine, prediction_oct=fine
        )
    )  # fmt: skip
    assert found.text == "Not finite: the input oct of cases c0, c1, c2, c3, c4 and 3 more."


@pytest.mark.parametrize(
    ("rate", "clip", "text"),
    [(1e-3, None, "(now 0.001) or set gradient_clip (now off; 1.0, say)"), (None, 5.0, "gradient_clip lower (now 5)")],
)
def test_advice_names_the_settings_as_they_are(rate, clip, text):
    assert text in advice(diagnose(record()), learning_rate=rate, gradient_clip=clip)
    assert "medmd check" in advice(diagnose(record(target=[math.nan] * 3)), learning_rate=rate, gradient_clip=clip)


def test_which_numbers_are_losses():
    losses = ["loss", "loss_oct", "loss_fusion", "oct/loss", "oct/regression", "fundus/contrastive"]
    others = ["oct/share_without_positive_tail", "error_oct", "sharpness", "gamma", "val_fusion_mse", "cosine"]
    assert all(map(is_loss, losses))
    assert not any(map(is_loss, others))
