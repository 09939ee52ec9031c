import numpy as np
import pytest
from torch import nn

from medmd.data import Case, Datalist, Header, InputSpec, TargetSpec, write_datalist
from medmd.networks import MultimodalRegressor, VectorEncoder
from medmd.utils import MedmdError
from medmd.workflows import standardize_vectors

VALUES = np.array([[1.0, 5.0], [3.0, 5.0], [100.0, 9.0]])


@pytest.fixture
def datalist(tmp_path):
    cases = [
        Case(case_id=f"c{number}", patient_id=f"p{number}", inputs={"a": row.tolist()}, target=1.0)
        for number, row in enumerate(VALUES)
    ]
    header = Header(name="x", inputs={"a": InputSpec(kind="vector")}, target=TargetSpec(name="y", range=(0, 2)))
    write_datalist(
        tmp_path / "datalist.json", Datalist(header=header, splits={"training": cases[:2], "testing": cases[2:]})
    )
    return tmp_path / "datalist.json"


def test_encoders_that_ask_for_it_learn_the_training_list(datalist):
    asking, other = VectorEncoder(in_features=2, standardize=True), VectorEncoder(in_features=2)
    standardize_vectors(MultimodalRegressor({"a": asking, "b": other}), datalist)
    assert asking.mean.tolist() == [2.0, 5.0]
    assert asking.std.tolist() == [1.0, 1.0]
    assert not hasattr(other, "mean")


def test_a_network_that_does_not_ask_needs_no_datalist(tmp_path):
    standardize_vectors(MultimodalRegressor({"a": VectorEncoder(in_features=2)}), tmp_path / "absent.json")
    standardize_vectors(nn.Linear(2, 1), tmp_path / "absent.json")


def test_a_vector_of_another_length(datalist):
    with pytest.raises(MedmdError, match="network#encoders#a#in_features: expected 2"):
        standardize_vectors(MultimodalRegressor({"a": VectorEncoder(in_features=3, standardize=True)}), datalist)
