"""How much of the information in the phantom's images a small network recovers in a few minutes.

Trains a narrow 3-D ResNet-18 on the OCT, a narrow 2-D ResNet-18 on the photograph and a fusion of both on the same
training eyes, plain mean squared error of the standardised MD, and puts their R2 beside the ceilings of the cohort.
This is no method of the project: it asks whether the images show what they should.

    python -m benchmarks.phantom_learnability --folder /tmp/phantom --out docs/results
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, mse_loss

from medmd.data.phantom import GENERATOR_VERSION, PhantomCohort
from medmd.utils import derive_seed, read_json, write_atomic, write_json

Arrays = dict[str, Tensor]
MODELS = ("oct", "fundus", "fusion")
_WIDTH = (16, 32, 64, 128)


def main() -> None:
    """Run and write `phantom_learnability.json`, `phantom.md` and the contact sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where the cohort lies or is written")
    parser.add_argument("--out", type=Path, default=Path("docs/results"), help="folder of the results")
    parser.add_argument("--eyes", type=int, default=480)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="of the networks")
    options = parser.parse_args()
    cohort = PhantomCohort(options.eyes)
    path = cohort.write(options.folder)
    parts = {split: load(path, split) for split in ("training", "validation", "testing")}
    result: dict[str, Any] = {
        "generator": GENERATOR_VERSION,
        "cohort_seed": cohort.seed,
        "eyes": {split: len(part["target"]) for split, part in parts.items()},
        "epochs": options.epochs,
        "threads": torch.get_num_threads(),
        "ceilings": {split: cohort.ceilings(split) for split in ("validation", "testing")},
        "ceilings_of_20000_eyes": PhantomCohort(20_000, cohort.seed).ceilings(),
        "runs": [],
    }
    for seed in options.seeds:
        result["runs"].append(run(parts, seed=seed, epochs=options.epochs))
        write_json(options.out / "phantom_learnability.json", result)
        write_atomic(options.out / "phantom.md", report(result))
    write_atomic(options.out / "phantom_contact_sheet.png", (options.folder / "contact_sheet.png").read_bytes())


def load(path: Path, split: str) -> Arrays:
    """A split as tensors: OCT (N, 1, 32, 64, 64), photographs (N, 3, 112, 112), left eyes mirrored; MD (N,) in dB."""
    cases = read_json(path)[split]
    return {
        "oct": torch.stack([_oct(path.parent, case) for case in cases]),
        "fundus": torch.stack([_fundus(path.parent, case) for case in cases]),
        "target": torch.tensor([case["target"] for case in cases]),
    }


def run(parts: dict[str, Arrays], *, seed: int, epochs: int) -> dict[str, Any]:
    """Train each model once; R2, MAE in dB and seconds by model, and of the mean of the two single models."""
    predictions, seconds = {}, {}
    for name in MODELS:
        start = time.perf_counter()
        predictions[name] = train(name, parts, seed=seed, epochs=epochs)
        seconds[name] = round(time.perf_counter() - start, 1)
    predictions["late_average"] = {
        split: (predictions["oct"][split] + predictions["fundus"][split]) / 2 for split in predictions["oct"]
    }
    scores = {
        name: {split: accuracy(values, parts[split]["target"]) for split, values in by_split.items()}
        for name, by_split in predictions.items()
    }
    return {"seed": seed, "seconds": seconds, "scores": scores}


def train(name: str, parts: dict[str, Arrays], *, seed: int, epochs: int, batch: int = 16) -> Arrays:
    """Fit one model on the training split; predictions in dB of the last epoch on the two others."""
    torch.manual_seed(derive_seed(seed, name))
    model = Regressor(MODELS[:2] if name == "fusion" else (name,))
    data = parts["training"]
    mean, spread = data["target"].mean(), data["target"].std()
    steps = epochs * (len(data["target"]) // batch)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-3, total_steps=steps)
    for _ in range(epochs):
        for rows in torch.randperm(len(data["target"])).split(batch):
            if len(rows) < batch:
                continue
            optimizer.zero_grad()
            output = model({key: _jitter(data[key][rows]) for key in model.encoders})
            mse_loss(output, (data["target"][rows] - mean) / spread).backward()
            optimizer.step()
            schedule.step()
    model.eval()
    with torch.no_grad():
        return {
            split: torch.cat([model({key: parts[split][key][k : k + 16] for key in model.encoders})
                              for k in range(0, len(parts[split]["target"]), 16)]) * spread + mean
            for split in ("validation", "testing")
        }  # fmt: skip


class Regressor(nn.Module):
    """Encoders by modality, features side by side, one linear output (B,)."""

    def __init__(self, modalities: tuple[str, ...]) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict({name: _encoder(name) for name in modalities})
        self.head = nn.Linear(_WIDTH[-1] * len(modalities), 1)

    def forward(self, inputs: Arrays) -> Tensor:
        """Standardised MD."""
        features = [encoder(inputs[name]) for name, encoder in self.encoders.items()]
        return self.head(torch.cat(features, dim=1))[:, 0]


def accuracy(prediction: Tensor, target: Tensor) -> dict[str, float]:
    """R2 and MAE in dB."""
    error = prediction - target
    r2 = 1.0 - float((error**2).sum() / ((target - target.mean()) ** 2).sum())
    return {"r2": round(r2, 4), "mae": round(float(error.abs().mean()), 4)}


def report(result: dict[str, Any]) -> str:
    """The results as Markdown."""
    ceilings = result["ceilings"]["testing"]
    names = {"oct": "information_oct", "fundus": "information_fundus"}
    lines = [
        "# What the phantom's images show",
        "",
        "Written by `python -m benchmarks.phantom_learnability`. Default cohort, "
        f"{result['eyes']['training']} training and {result['eyes']['testing']} test eyes, {result['epochs']} epochs, "
        f"{result['threads']} thread(s), last epoch, no selection; test split. The ceiling is the posterior mean of MD "
        "given the hidden summaries of the modalities used, on the same eyes.",
        "",
        "| model | seed | R2 | ceiling R2 | share | MAE (dB) | ceiling MAE (dB) | seconds |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for entry in result["runs"]:
        for name, scores in entry["scores"].items():
            ceiling = ceilings[names.get(name, "information")]
            score = scores["testing"]
            lines.append(
                f"| {name} | {entry['seed']} | {score['r2']:.3f} | {ceiling['r2']:.3f} | "
                f"{score['r2'] / ceiling['r2']:.0%} | {score['mae']:.2f} | {ceiling['mae']:.2f} | "
                f"{entry['seconds'].get(name, '')} |"
            )
    many = result["ceilings_of_20000_eyes"]
    lines += [
        "",
        "Seconds are clock time on a machine that did other work. Ceilings of this test split beside those of 20,000 "
        "eyes drawn with the same arguments:",
        "",
        "| predictor | R2, test split | R2, 20,000 eyes | MAE, test split | MAE, 20,000 eyes |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {name} | {row['r2']:.3f} | {many[name]['r2']:.3f} | {row['mae']:.2f} | {many[name]['mae']:.2f} |"
        for name, row in ceilings.items()
    ]
    lines += ["", "![Eyes ordered by MD](phantom_contact_sheet.png)", ""]
    return "\n".join(lines)


def _encoder(name: str) -> nn.Module:
    from monai.networks.nets.resnet import ResNet

    volume = name == "oct"
    return ResNet(
        "basic", [2, 2, 2, 2], list(_WIDTH), spatial_dims=3 if volume else 2, n_input_channels=1 if volume else 3,
        conv1_t_size=7, conv1_t_stride=2, feed_forward=False,
    )  # fmt: skip


def _oct(folder: Path, case: dict[str, Any]) -> Tensor:
    import nibabel

    volume = np.asarray(nibabel.load(folder / case["inputs"]["oct"]).dataobj)
    volume = volume[::-1] if case["laterality"] == "L" else volume
    tensor = torch.from_numpy(volume.transpose(2, 1, 0).astype(np.float32))[None, None] / 255.0
    small = interpolate(tensor, size=(32, 64, 64), mode="trilinear", align_corners=False)[0]
    return (small - small.mean()) / small.std()


def _fundus(folder: Path, case: dict[str, Any]) -> Tensor:
    from PIL import Image

    with Image.open(folder / case["inputs"]["fundus"]) as file:
        photograph = np.asarray(file.convert("RGB").resize((112, 112), Image.Resampling.BOX))
    photograph = photograph[:, ::-1] if case["laterality"] == "L" else photograph
    return torch.from_numpy(photograph.transpose(2, 0, 1).astype(np.float32)) / 127.5 - 1.0


def _jitter(images: Tensor) -> Tensor:
    """Brightness and contrast a little off, and shifted by up to 3 pixels along the last two axes."""
    shape = (len(images),) + (1,) * (images.ndim - 1)
    shifts = torch.randint(-3, 4, (2,)).tolist()
    shifted = torch.roll(images, shifts, dims=(-2, -1))
    return shifted * (1.0 + 0.1 * torch.randn(shape)) + 0.05 * torch.randn(shape)


if __name__ == "__main__":
    main()
