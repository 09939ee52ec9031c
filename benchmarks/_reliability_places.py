"""The places at which chosen kills strike, in the order in which a run comes by them.

The places of one group strike one run after the other: each start of it dies at the next place. Calls are counted from
the beginning of a start, for a training of 2 stages x 4 epochs x 6 steps that saves every 4 steps and every epoch.
"""

from __future__ import annotations

from benchmarks._reliability_traps import Trap

_REPLACE, _UNLINK = "pathlib:Path.replace", "pathlib:Path.unlink"
_CLIENT, _RUN, _BUFFER = "mlflow:MlflowClient", "medmd.handlers:MLflowRun", "medmd.handlers._mlflow_buffer:Buffer"
_SQL, _SAVE = "sqlalchemy.engine.default:DefaultDialect", "torch:save"
_PROGRESS = "medmd.workflows._progress:Progress"
_CHECKPOINT, _EVALUATOR = "medmd.handlers:Checkpoint", "medmd.engines:RegressionEvaluator"

COHORT = "while the cohort is written"

PLACES = {
    COHORT: (
        Trap("marker of the cohort not named", _REPLACE, match="*/phantom.json"),
        Trap("marker of the cohort named", _REPLACE, match="*/phantom.json", when="after"),
        Trap("an image not named", _REPLACE, match="*/oct/*.nii.gz", call=5),
        Trap("between two eyes", "medmd.data.phantom._write:_write_eye", call=9),
        Trap("datalist not named", _REPLACE, match="*/datalist.json"),
        Trap("datalist named, no contact sheet", _REPLACE, match="*/datalist.json", when="after"),
    ),
    "while the run's folder is made": (
        Trap("run.json not named", _REPLACE, match="*/run.json"),
        Trap("run.json named, config.json not", _REPLACE, match="*/config.json"),
        Trap("progress.json not named", _REPLACE, match="*/progress.json"),
    ),
    "while the store is made": (
        Trap("no table", f"{_SQL}.do_execute", match="*CREATE TABLE*"),
        Trap("fourth table", f"{_SQL}.do_execute", match="*CREATE TABLE*", call=4),
        Trap("first commit", f"{_SQL}.do_commit"),
        Trap("after the first commit", f"{_SQL}.do_commit", when="after"),
        Trap(
            "in the middle of the changes to the newest version", f"{_SQL}.do_execute", match="*ALTER TABLE*", call=20
        ),
        Trap("second commit", f"{_SQL}.do_commit", call=2),
        Trap("experiment made", f"{_CLIENT}.create_experiment", when="after"),
        Trap("run announced, not made", f"{_CLIENT}.create_run"),
        Trap("run made, its id not kept", f"{_CLIENT}.create_run", when="after"),
        Trap("mlflow_run.json not named", _REPLACE, match="*/mlflow_run.json"),
        Trap("no parameter sent", f"{_CLIENT}.log_batch"),
    ),
    "while the store is fed": (
        Trap("numbers of an epoch not in the buffer", f"{_RUN}.log", call=2),
        Trap("numbers of an epoch in the buffer, epoch not saved", f"{_RUN}.log", call=2, when="after"),
        # Several numbers go in with one call; those that a run has last are changed after it.
        Trap("numbers half written to the store", f"{_SQL}.do_executemany", match="*INTO metrics*", when="after"),
        Trap("numbers in the store, sending not noted", f"{_BUFFER}.acknowledge", call=2),
        Trap("sending noted", f"{_BUFFER}.acknowledge", call=2, when="after"),
    ),
    "inside saving": (
        Trap("first byte of the first checkpoint", _SAVE, size=1),
        Trap("most of a checkpoint written", _SAVE, call=2, size=1_500_000),
        Trap("checkpoint written, not flushed", "medmd.utils._files:_flush", match="*.pt", call=2),
        Trap("checkpoint flushed, not named", _REPLACE, match="*/checkpoint-*.pt", call=2),
        Trap("checkpoint named, old one still there", _REPLACE, match="*/checkpoint-*.pt", call=2, when="after"),
        Trap("old checkpoint removed", _UNLINK, match="*/checkpoint-*.pt", when="after"),
        Trap("last checkpoint of stage 1 not named", _REPLACE, match="*/pretrain/checkpoint-00000024.pt"),
        Trap("half a checkpoint of stage 2 written", _SAVE, call=3, size=200_000),
        Trap("history.csv not named", _REPLACE, match="*/history.csv"),
        Trap("last checkpoint of stage 2 named", _REPLACE, match="*/train/checkpoint-00000024.pt", when="after"),
    ),
    "in validation": (
        Trap("second batch of the second validation", f"{_EVALUATOR}._iteration", call=4),
        Trap("best weights of stage 1 kept, epoch not saved", f"{_CHECKPOINT}._after_epoch", call=2),
        Trap("validation of stage 2 done, best weights not kept", "medmd.handlers:KeepBest._after_epoch"),
        Trap("last validation of stage 2", "medmd.handlers:KeepBest._after_epoch", call=4),
    ),
    "between stages": (
        Trap("stage 1 done, not yet noted", f"{_PROGRESS}.finish", match="pretrain"),
        Trap("stage 1 noted as done", f"{_PROGRESS}.finish", match="pretrain", when="after"),
        Trap("stage 2 noted as begun", f"{_PROGRESS}.begin", match="train", when="after"),
        Trap("stage 2 done, not yet noted", f"{_PROGRESS}.finish", match="train"),
        Trap("stage 2 noted as done", f"{_PROGRESS}.finish", match="train", when="after"),
        Trap("evaluation done, not yet noted", f"{_PROGRESS}.finish", match="evaluate"),
    ),
    "while results are written": (
        Trap("predictions.csv not named", _REPLACE, match="*/predictions.csv"),
        Trap("predictions.csv named", _REPLACE, match="*/predictions.csv", when="after"),
        Trap("weights of the model folder not named", _REPLACE, match="*/model.safetensors"),
        Trap("manifest of the model folder not named", _REPLACE, match="*/manifest.json"),
        Trap("third figure of the report", "medmd.report._write:write_atomic", call=3),
        Trap("report.html not named", _REPLACE, match="*/report.html"),
        Trap("artifacts not in the buffer", f"{_RUN}.log_file", match="*predictions.csv"),
        Trap("an artifact copied", f"{_CLIENT}.log_artifact", match="*predictions.csv", when="after"),
        Trap("weights not copied to the artifacts", f"{_CLIENT}.log_artifact", match="*model.safetensors"),
        Trap("final numbers not in the buffer", f"{_RUN}.log_values"),
        Trap("final numbers in the buffer", f"{_RUN}.log_values", when="after"),
        Trap("run not closed in the store", f"{_CLIENT}.set_terminated"),
        Trap("run closed in the store", f"{_CLIENT}.set_terminated", when="after"),
        Trap("buffer of the store not removed", f"{_BUFFER}.remove"),
    ),
}
