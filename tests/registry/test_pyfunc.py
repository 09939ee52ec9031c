import gzip
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="module")
def model(untrained_run):
    import warnings

    with warnings.catch_warnings():
        # MLflow warns of its own type hints when it is imported.
        warnings.simplefilter("ignore")
        from medmd.registry._pyfunc import MeanDeviationModel

    made = MeanDeviationModel()
    made.load_context(SimpleNamespace(artifacts={"model": str(untrained_run / "model")}))
    return made


@pytest.fixture
def rows(make_datalist):
    from medmd.data import load_items

    items = load_items(make_datalist(missing={0: "fundus"}), "training")[:3]
    files = [{name: Path(item[name]).read_bytes() for name in ("oct", "fundus") if name in item} for item in items]
    return pd.DataFrame([{"laterality": item["laterality"], **read} for item, read in zip(items, files, strict=True)])


def test_rows_keep_their_order_and_gaps(model, rows):
    found = model.predict(None, rows)
    assert list(found["case_id"]) == ["row-0", "row-1", "row-2"]
    assert found["md_fundus"].isna().tolist() == [True, False, False]
    turned = model.predict(None, rows.iloc[::-1])
    np.testing.assert_allclose(turned["md"], found["md"].iloc[::-1], atol=1e-6)


def test_packed_and_unpacked_volumes_and_other_bytes_are_the_same(model, rows):
    packed = model.predict(None, rows)
    unpacked = rows.assign(oct=[memoryview(bytearray(gzip.decompress(data))) for data in rows["oct"]])
    assert list(model.predict(None, unpacked)["md"]) == list(packed["md"])


def test_a_row_without_any_modality_is_named(model, rows):
    rows = rows.assign(case_id=["a", "b", "c"], oct=None)
    with pytest.raises(ValueError, match=r"(?s)case 'a'.*none of the modalities"):
        model.predict(None, rows)


@pytest.mark.parametrize("value", ["/etc/passwd", 3, ["x"]])
def test_what_is_no_file_is_refused(model, rows, value):
    rows = rows.astype({"oct": object})
    rows.at[1, "oct"] = value
    with pytest.raises(ValueError, match=r"Case row-1, oct: expected the content of a file as bytes, got"):
        model.predict(None, rows)


@pytest.mark.parametrize("value", [[1, 2.5], (1, 2.5), np.array([1, 2.5])])
def test_a_vector_is_a_list_of_numbers(model, value, tmp_path):
    part = SimpleNamespace(predictor=SimpleNamespace(inputs={"rnfl": "vector", "oct": "volume"}))
    item = type(model)._item(part, {"rnfl": value, "oct": None, "laterality": "L"}, 4, tmp_path)
    assert item == {"case_id": "row-4", "laterality": "L", "rnfl": [1.0, 2.5]}
