"""The registered model: MLflow runs this file when it loads the model, so that nothing is unpickled.

One row a case in, one row a case out. A volume or photograph is the content of its file (`.nii.gz`, `.png` or
`.jpg`), as bytes; a vector is a list of numbers; a modality that a case lacks is null. The transforms are those of
training.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

from medmd.utils import MedmdError
from medmd.workflows import Predictor

_GZIP = b"\x1f\x8b"


class MeanDeviationModel(PythonModel):
    """Predicts the target of a model folder from the original files' bytes."""

    predictor: Predictor

    def load_context(self, context: Any) -> None:
        """Load the model folder among the artifacts; its digests are verified."""
        self.predictor = Predictor(context.artifacts["model"])

    # MLflow makes a schema of most hints, and warns when there is none; of a DataFrame it leaves that to the signature.
    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Predict for every row.

        Args:
            context: MLflow's.
            model_input: DataFrame with a column for each modality, `laterality` (R or L) and, optionally, `case_id`.
            params: none are used.

        Returns:
            DataFrame with `case_id`, the target (`md`, dB) and the prediction of each modality alone, in the rows'
            order.
        """
        table = pd.DataFrame(model_input).reset_index(drop=True)
        with tempfile.TemporaryDirectory(prefix="medmd-") as folder:
            items = [self._item(row, number, Path(folder)) for number, row in enumerate(table.to_dict("records"))]
            return self.predictor.predict(items)

    def _item(self, row: dict[Any, Any], number: int, folder: Path) -> dict[str, Any]:
        given = {name: value for name, value in row.items() if not _is_null(value)}
        case = str(given.get("case_id", f"row-{number}"))
        item: dict[str, Any] = {"case_id": case, "laterality": given.get("laterality")}
        for name, kind in self.predictor.inputs.items():
            if name not in given:
                continue
            value = given[name]
            item[name] = (
                _vector(value) if kind == "vector" else _file(value, kind, name, case, folder / f"{number}_{name}")
            )
        return item


def _is_null(value: Any) -> bool:
    # pandas writes a gap as None, NaN or NA, by the column's type. Bytes and lists hold something.
    return not isinstance(value, (bytes, bytearray, memoryview, list, tuple, np.ndarray)) and bool(pd.isna(value))


def _vector(value: Any) -> list[float]:
    return [float(number) for number in value]


def _file(value: Any, kind: str, name: str, case: str, path: Path) -> str:
    """Write the bytes where the training's own transforms can read them."""
    if not isinstance(value, (bytes, bytearray, memoryview)):
        msg = f"Case {case}, {name}: expected the content of a file as bytes, got {type(value).__name__}."
        raise MedmdError(msg)
    data = bytes(value)
    # The suffix tells nibabel whether to unpack; pillow looks at the content.
    suffix = {"volume": ".nii.gz" if data.startswith(_GZIP) else ".nii"}.get(kind, "")
    path = path.with_name(path.name + suffix)
    path.write_bytes(data)
    return str(path)


set_model(MeanDeviationModel())
