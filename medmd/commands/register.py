"""Hand a finished run over to the MLflow model registry, and print how to load it from there."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("run", metavar="RUN", help="folder of a finished run (its output_dir)")
    parser.add_argument("--name", default="remd", help="name of the registered model (default: remd)")
    parser.add_argument("--alias", help="alias to move to this version, for example challenger")


def run(args: argparse.Namespace) -> int:
    """Register, and say how to load it."""
    from medmd.registry import register_run

    done = register_run(args.run, name=args.name, alias=args.alias)
    print(f"Registered {done.name}, version {done.version}" + (f", alias {done.alias}." if done.alias else "."))
    print("Load it with")
    if done.store.startswith("sqlite:"):
        print(f'    mlflow.set_tracking_uri("{done.store}")')
    print(f'    mlflow.pyfunc.load_model("{done.uri}")')
    return 0
