"""The model in MLflow's registry: what is handed over, and how it predicts from the original files."""

from medmd.registry._register import Registered, register_run

__all__ = ["Registered", "register_run"]
