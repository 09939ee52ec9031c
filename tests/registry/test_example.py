import io

import nibabel
import numpy as np
import pytest
from PIL import Image

from medmd.registry import _register
from medmd.registry._example import input_example


def test_one_row_with_a_file_a_modality():
    row = input_example({"oct": "volume", "fundus": "image", "rnfl": "vector"}, {"rnfl": 5}).iloc[0]
    volume = nibabel.Nifti1Image.from_bytes(row["oct"])
    assert volume.ndim == 3
    assert len(np.unique(np.asarray(volume.dataobj)[0, 24:40, 0])) == 16
    picture = Image.open(io.BytesIO(row["fundus"]))
    assert (picture.mode, picture.size) == ("RGB", (96, 96))
    assert row["rnfl"] == [0.0] * 5
    assert (row["case_id"], row["laterality"]) == ("example", "R")


def test_it_is_the_same_every_time():
    first, second = (input_example({"oct": "volume", "fundus": "image"}, {}).iloc[0] for _ in range(2))
    assert first.equals(second)


@pytest.mark.parametrize("required", [True, False])
def test_the_signature_of_vectors_and_of_a_single_input(required):
    inputs = {"rnfl": "vector"} if required else {"rnfl": "vector", "fundus": "image"}
    signature = _register._signature({"inputs": inputs, "target": {"name": "ms"}})
    columns = {column.name: column for column in signature.inputs}
    assert columns["rnfl"].required is required
    assert "double" in str(columns["rnfl"].type)
    assert [column.name for column in signature.outputs] == ["case_id", "ms", *(f"ms_{name}" for name in inputs)]


def test_the_lengths_of_vectors_come_from_the_last_transform(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "preprocessing.json").write_text(
        '[{"_target_": "x"}, {"keys": ["a", "b"], "shapes": {"a": [3, 8, 8], "b": [5]}}]'
    )
    manifest = {"inputs": {"a": "image", "b": "vector"}}
    assert _register._vector_lengths(tmp_path, manifest) == {"b": 5}


def test_a_local_build_is_asked_for_by_its_release(monkeypatch):
    monkeypatch.setattr(_register.metadata, "version", lambda _: "2.13.0+cpu")
    assert _register._release("torch") == "2.13.0"
