"""The places at which directed kills strike, for a training of 2 stages x 4 epochs x 6 steps, saved every 4 steps."""

from __future__ import annotations

from benchmarks._reliability_traps import Trap

_REPLACE, _UNLINK = "pathlib:Path.replace", "pathlib:Path.unlink"
_CLIENT = "mlflow:MlflowClient"
_SQL = "sqlalchemy.engine.default:DefaultDialect"
_SAVE = "torch:save"
_RUN, _BUFFER = "medmd.handlers:MLflowRun", "medmd.handlers._mlflow_buffer:Buffer"

COHORT, FOLDER, STORE = "phantom cohort", "the run's folder", "MLflow store"
SAVING, VALIDATION, STAGES, RESULTS = "inside saving", "validation", "between stages", "results"

PLACES = (
    Trap("half a checkpoint of stage 2 written", SAVING, _SAVE, call=11, size=200_000),
    Trap("second batch of a validation", VALIDATION, "medmd.engines:RegressionEvaluator._iteration", call=4),
    Trap("stage 1 done, not yet noted", STAGES, "medmd.workflows._progress:Progress.finish", match="pretrain"),
    Trap("stage 1 noted as done", STAGES, "medmd.workflows._progress:Progress.finish", match="pretrain", when="after"),
    Trap("stage 2 noted as begun", STAGES, "medmd.workflows._progress:Progress.begin", match="train", when="after"),
    Trap("stage 2 done, not yet noted", STAGES, "medmd.workflows._progress:Progress.finish", match="train"),
    Trap("stage 2 noted as done", STAGES, "medmd.workflows._progress:Progress.finish", match="train", when="after"),
    Trap("evaluation done, not yet noted", STAGES, "medmd.workflows._progress:Progress.finish", match="evaluate"),
    Trap("first byte of the first checkpoint", SAVING, _SAVE, size=1),
    Trap("most of a checkpoint of stage 1 written", SAVING, _SAVE, call=3, size=400_000),
    Trap("checkpoint written, not flushed", SAVING, "medmd.utils._files:_flush", match="*.pt", call=2),
    Trap("checkpoint flushed, not named", SAVING, _REPLACE, match="*/checkpoint-*.pt", call=3),
    Trap("checkpoint named, old one still there", SAVING, _REPLACE, match="*/checkpoint-*.pt", call=4, when="after"),
    Trap("old checkpoint removed", SAVING, _UNLINK, match="*/checkpoint-*.pt", when="after"),
    Trap("last checkpoint of stage 1 not named", SAVING, _REPLACE, match="*pretrain/checkpoint-00000024.pt"),
    Trap("last checkpoint of stage 2 named", SAVING, _REPLACE, match="*/train/checkpoint-00000024.pt", when="after"),
    Trap("history.csv not named", SAVING, _REPLACE, match="*/history.csv", call=2),
    Trap("validation of stage 2 done, best weights not kept", VALIDATION, "medmd.handlers:KeepBest._after_epoch"),
    Trap("best weights kept, epoch not saved", VALIDATION, "medmd.handlers:Checkpoint._save", call=3),
    Trap("last validation of stage 2", VALIDATION, "medmd.handlers:KeepBest._after_epoch", call=4),
    Trap("run.json not named", FOLDER, _REPLACE, match="*/run.json"),
    Trap("run.json named, config.json not", FOLDER, _REPLACE, match="*/config.json"),
    Trap("progress.json not named", FOLDER, _REPLACE, match="*/progress.json", call=3),
    Trap("no table in the store yet", STORE, f"{_SQL}.do_execute", match="*CREATE TABLE*"),
    Trap("first tables in the store", STORE, f"{_SQL}.do_execute", match="*CREATE TABLE*", call=4),
    Trap("tables made, not committed", STORE, f"{_SQL}.do_commit"),
    Trap("tables of the first version committed", STORE, f"{_SQL}.do_commit", when="after"),
    Trap("in the middle of the store's migrations", STORE, f"{_SQL}.do_execute", match="*ALTER TABLE*", call=20),
    Trap("migrations done, not committed", STORE, f"{_SQL}.do_commit", call=2),
    Trap("experiment made", STORE, f"{_CLIENT}.create_experiment", when="after"),
    Trap("run made, its id not kept", STORE, f"{_CLIENT}.create_run", when="after"),
    Trap("mlflow_run.json not named", STORE, _REPLACE, match="*/mlflow_run.json"),
    Trap("id kept, no parameter sent", STORE, f"{_CLIENT}.log_batch"),
    Trap("numbers of an epoch not in the buffer", STORE, f"{_RUN}.log", call=3),
    Trap("numbers of an epoch in the buffer, epoch not saved", STORE, f"{_RUN}.log", call=4, when="after"),
    Trap("while numbers are written to the store", STORE, f"{_SQL}.do_execute", match="*INSERT INTO metrics*", call=2),
    Trap("numbers in the store, sending not noted", STORE, f"{_BUFFER}.acknowledge", call=3),
    Trap("sending noted", STORE, f"{_BUFFER}.acknowledge", call=4, when="after"),
    Trap("predictions.csv not named", RESULTS, _REPLACE, match="*/predictions.csv"),
    Trap("predictions.csv named", RESULTS, _REPLACE, match="*/predictions.csv", when="after"),
    Trap("weights of the model folder not named", RESULTS, _REPLACE, match="*/model.safetensors"),
    Trap("manifest of the model folder not named", RESULTS, _REPLACE, match="*/manifest.json"),
    Trap("third figure of the report", RESULTS, "medmd.report._write:write_atomic", call=3),
    Trap("report.html not named", RESULTS, _REPLACE, match="*/report.html"),
    Trap("artifacts of the results not in the buffer", RESULTS, f"{_RUN}.log_file", match="*predictions.csv"),
    Trap("an artifact copied", RESULTS, f"{_CLIENT}.log_artifact", match="*predictions.csv", when="after"),
    Trap("weights not copied to the artifacts", RESULTS, f"{_CLIENT}.log_artifact", match="*model.safetensors"),
    Trap("final numbers not in the buffer", RESULTS, f"{_RUN}.log_values"),
    Trap("final numbers in the buffer", RESULTS, f"{_RUN}.log_values", when="after"),
    Trap("run not closed in the store", RESULTS, f"{_CLIENT}.set_terminated"),
    Trap("run closed in the store", RESULTS, f"{_CLIENT}.set_terminated", when="after"),
    Trap("buffer of the store not removed", RESULTS, f"{_BUFFER}.remove"),
)

# These strike while the cohort is written, so that each trial makes its own.
COHORT_PLACES = (
    Trap("marker of the cohort not named", COHORT, _REPLACE, match="*/phantom.json"),
    Trap("marker of the cohort named", COHORT, _REPLACE, match="*/phantom.json", when="after"),
    Trap("an image not named", COHORT, _REPLACE, match="*/oct/*.nii.gz", call=5),
    Trap("between two eyes", COHORT, "medmd.data.phantom._write:_write_eye", call=9),
    Trap("datalist not named", COHORT, _REPLACE, match="*/datalist.json"),
    Trap("datalist named, no contact sheet", COHORT, _REPLACE, match="*/datalist.json", when="after"),
)
