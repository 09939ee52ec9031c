"""Prediction of a whole split as one table, and metrics from that table alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from ignite.engine import Events
from monai.engines import SupervisedEvaluator
from monai.engines.utils import IterationEvents
from torch import Tensor, nn

from medmd.engines._batch import ModalityBatch, PrepareModalities
from medmd.engines._readout import TASK, columns_of, measure
from medmd.engines._workers import workers_end_with
from medmd.utils import MedmdError


class RegressionEvaluator(SupervisedEvaluator):
    """Predicts every case of a loader and computes the metrics once, over all of them.

    A mean over batches would not be the metric of the split: R2 of a batch of 8 is another quantity. So the
    predictions are gathered, brought to the host once at the end of the epoch, kept as `table`, and measured there.

    Args:
        device: where to predict.
        val_data_loader: gives batches as `PackInputsd` makes them, in a fixed order.
        network: a `MultimodalRegressor`, a `MultimodalClassifier` or a `MultitaskNetwork`.
        prefix: put before the names of metrics in `state.metrics`, as in `val_fusion_mse`, `val_oct_mae`; of classes
            `val_fusion_log_loss`, `val_oct_accuracy`; of tasks `val_<task>_log_loss` and `val_tasks_loss`, see
            `columns_of` and `measure` in `medmd.engines`.
        val_handlers: Ignite handlers.
        options: further arguments of `SupervisedEvaluator`.

    Attributes:
        table: after a run, one row a case: `case_id`, `target`, `fusion`, and one column a modality, NaN where absent.
            Of classes an entry is the predicted index, and `<name>_p0`, `<name>_p1`, … are the probabilities.
    """

    network: Any

    def __init__(
        self,
        *,
        device: str | torch.device,
        val_data_loader: Iterable,
        network: nn.Module,
        prefix: str = "val",
        val_handlers: Sequence | None = None,
        **options: Any,
    ) -> None:
        self.prefix = prefix
        self.table = pd.DataFrame()
        self._rows: list[tuple[list[str], Tensor]] = []
        self._names: list[str] = []
        self._present: list[Tensor] = []
        self._here: dict[str, Any] = {}
        options.setdefault("prepare_batch", PrepareModalities(network.modalities))  # type: ignore[arg-type]
        options.setdefault("decollate", False)
        super().__init__(
            device=device,
            val_data_loader=val_data_loader,
            network=network,
            **options,
        )
        self.add_event_handler(Events.EPOCH_STARTED, lambda _: self._begin())
        self.add_event_handler(Events.EPOCH_COMPLETED, lambda _: self._finish())
        # After the metrics are there: Ignite calls in the order of registration.
        self._register_handlers(val_handlers or [])

    def run(self, global_epoch: int = 1) -> None:
        """Predict and measure.

        Args:
            global_epoch: of the trainer that asks, for handlers.

        Raises:
            MedmdError: a prediction is not finite.
        """
        with workers_end_with(self):
            super().run(global_epoch)

    def _iteration(self, engine: Any, batchdata: dict[str, Any]) -> dict[str, Any]:
        batch: ModalityBatch = self.prepare_batch(batchdata, self.state.device, self.non_blocking, **self.to_kwargs)
        with self.mode(self.network):
            predictions = self.network(batch.inputs, batch.present)
        self.fire_event(IterationEvents.FORWARD_COMPLETED)
        columns = columns_of(self.network, predictions, batch.target)
        self._names = list(columns)
        self._rows.append((batch.case_ids, torch.stack([column.float() for column in columns.values()], dim=1)))
        self._present.append(torch.ones(len(batch), len(self._modalities)) if batch.present is None else batch.present)
        self.state.output = {"pred": predictions.fusion, "label": batch.target}
        self.fire_event(IterationEvents.MODEL_COMPLETED)
        return self.state.output

    @property
    def _modalities(self) -> tuple[str, ...]:
        return tuple(self.network.modalities)

    def _begin(self) -> None:
        self._rows.clear()
        self._present.clear()

    def _finish(self) -> None:
        values = torch.cat([rows for _, rows in self._rows]).cpu().double().numpy()
        self.table = pd.DataFrame(values, columns=self._names)
        self.table.insert(0, "case_id", [case for cases, _ in self._rows for case in cases])
        here = torch.cat([rows.bool().cpu() for rows in self._present]).numpy()
        tasks = [name for name in self._names if name.startswith(TASK) and f"{name}_target" in self._names]
        own = dict.fromkeys(tasks, here.any(axis=1)) if tasks else dict(zip(self._modalities, here.T, strict=True))
        self._here = {"fusion": here.any(axis=1), **own}
        self._require_finite()
        self.state.metrics.update(measure(self.table, self._here, self.prefix))

    def _require_finite(self) -> None:
        """Leaving out predictions that are no number would let a diverged network look like a good one."""
        for column, here in self._here.items():
            lost = self.table.loc[here & ~np.isfinite(self.table[column]), "case_id"]
            if len(lost):
                msg = (
                    f"{len(lost)} of {int(here.sum())} predictions from {column} are not finite (first: case "
                    f"{lost.iloc[0]}). The weights have diverged, or the case's input is extreme: lower the learning "
                    "rate, or look at the case."
                )
                raise MedmdError(msg)


def predict_table(network: nn.Module, loader: Iterable, device: str | torch.device) -> pd.DataFrame:
    """The predictions of `network` for every case of `loader`, in its order.

    Returns:
        Columns `case_id`, `target` (unknown: NaN, of classes -1), `fusion`, and one a modality (NaN where absent); of
        classes and tasks more, see `RegressionEvaluator`.
    """
    evaluator = RegressionEvaluator(device=device, val_data_loader=loader, network=network)
    evaluator.run()
    return evaluator.table
