"""Predict for a datalist or a folder of images with a trained model; the predictions are written as CSV."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("model", metavar="MODEL", help="model folder, or the folder of a run that holds one")
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="datalist.json, the folder that holds it, or a folder of files named <case>-<R|L>_<modality>.<suffix>",
    )
    parser.add_argument("output", metavar="OUTPUT", help="CSV file to write")
    parser.add_argument("--split", help="list of the datalist (default: testing if it has one, else unsplit)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 … (default: cpu)")
    parser.add_argument("--batch-size", type=int, default=8, metavar="N", help="cases at a time (default: 8)")
    parser.add_argument("--workers", type=int, default=0, metavar="N", help="processes that load (default: 0)")


def run(args: argparse.Namespace) -> int:
    """Predict and write the table."""
    from pathlib import Path

    from medmd.workflows import Inference, Predictor, cases_to_predict

    folder = Path(args.model)
    folder = folder / "model" if (folder / "model" / "manifest.json").is_file() else folder
    predictor = Predictor(folder, device=args.device, batch_size=args.batch_size, num_workers=args.workers)
    items = cases_to_predict(args.source, predictor.inputs, args.split)
    table = Inference(predictor=predictor, items=items, output_file=args.output).run()
    print(f"{len(table)} predictions in {args.output}")
    return 0
