"""What the quality measures give for sound images and for damaged ones, and what the default thresholds make of them.

python benchmarks/image_quality.py --output docs/results/image_quality
python benchmarks/image_quality.py --eyes 4 --photographs FOLDER --volumes FOLDER
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from data_prep.hospital._facts import Examination, Kind
from data_prep.hospital._quality import judge, measure_photo, measure_volume
from data_prep.hospital._site import SiteConfig
from data_prep.hospital._site_sections import OctRules
from medmd.utils import write_atomic, write_json

Pixels = npt.NDArray[Any]

SHARES = (0.0, 0.05, 0.5, 0.95, 1.0)
# The samples of vendors' formats have few slices; what is looked at here are the pixels.
SITE = SiteConfig(oct=OctRules(min_slices=1, scan_patterns=("raster", "radial", "circle", "line", "unknown")))
INTRODUCTION = """\
# Image quality

What `data_prep.hospital` measures of volumes and photographs, on sound images and on the same images damaged on
purpose, and how many the default thresholds refuse. Written by `benchmarks/image_quality.py`; the phantom's eyes are
those of seed 42. `CFPs` and `ROIs` are the photographs and disc crops of GRAPE, `oct_samples` the sample files of
readers of vendors' formats. What the measures mean is said in [Quality of images](../concepts/quality.md).
"""


def _noise(volume: Pixels) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, volume.shape).astype(np.uint8)


def _with_blank(volume: Pixels) -> Pixels:
    damaged = volume.copy()
    damaged[::10] = 0
    return damaged


def _truncated(volume: Pixels) -> Pixels:
    damaged = volume.copy()
    damaged[::4, volume.shape[1] * 3 // 4 :] = 128
    return damaged


def _scrambled(volume: Pixels) -> Pixels:
    """Every slice's blocks in another order, as a scrambled codestream that is decoded anyway may look."""
    random = np.random.default_rng(0)
    damaged = volume.reshape(len(volume), -1).copy()
    for image in damaged:
        random.shuffle(image.reshape(32, -1))
    return damaged.reshape(volume.shape)


def _scaled(factor: float) -> Callable[[Pixels], Pixels]:
    return lambda image: np.clip(image * factor, 0, 255).astype(np.uint8)


def _blurred(share: float) -> Callable[[Pixels], Pixels]:
    return lambda photo: gaussian_filter(photo, (share * max(photo.shape), share * max(photo.shape), 0))


def _grey(photo: Pixels) -> Pixels:
    return np.repeat(photo[..., 1:2], 3, axis=2)


def _uneven(photo: Pixels) -> Pixels:
    ramp = np.linspace(0, 1, photo.shape[1])[None, :, None] ** 2
    return np.asarray((photo * ramp).astype(np.uint8))


VOLUME_DAMAGES: Mapping[str, Callable[[Pixels], Pixels]] = {
    "every 10th slice blank": _with_blank,
    "lower quarter of every 4th slice lost": _truncated,
    "blocks of each slice shuffled": _scrambled,
    "noise": _noise,
    "brightness x 0.1": _scaled(0.1),
    "brightness x 4": _scaled(4.0),
}
PHOTO_DAMAGES: Mapping[str, Callable[[Pixels], Pixels]] = {
    "blurred by 0.8 % of the size": _blurred(0.008),
    "blurred by 1.6 % of the size": _blurred(0.016),
    "brightness x 0.1": _scaled(0.1),
    "brightness x 4": _scaled(4.0),
    "grey": _grey,
    "lit from one side": _uneven,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the page, and write it with `--output`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--eyes", type=int, default=40, help="eyes of the phantom (default: %(default)s)")
    parser.add_argument(
        "--photographs", type=Path, nargs="*", default=[], help="folders of photographs, searched below"
    )
    parser.add_argument("--volumes", type=Path, nargs="*", default=[], help="folders of volumes, searched below")
    parser.add_argument("--most", type=int, default=60, help="files of each folder (default: %(default)s)")
    parser.add_argument("--output", type=Path, help="where to write .json and .md")
    options = parser.parse_args(arguments)
    sets = measure(options.eyes, options.photographs, options.volumes, options.most)
    page = describe(sets)
    print(page)
    if options.output:
        write_json(options.output.with_suffix(".json"), sets)
        write_atomic(options.output.with_suffix(".md"), page.encode())


def measure(eyes: int, photographs: Iterable[Path], volumes: Iterable[Path], most: int) -> dict[str, Any]:
    """Every set of images -> its quantiles and what is refused."""
    with tempfile.TemporaryDirectory() as temporary:
        from medmd.data.phantom import PhantomCohort

        PhantomCohort(n=eyes).write(temporary, contact_sheet=False)
        phantom_volumes = list(_read_volumes(Path(temporary), most))
        phantom_photos = list(_read_photos(Path(temporary), most))
    sets = {"phantom, volumes": summary("oct", phantom_volumes)}
    sets |= {
        f"phantom, volumes, {name}": summary("oct", map(damage, phantom_volumes))
        for name, damage in VOLUME_DAMAGES.items()
    }
    sets |= {f"{folder.name}, volumes": summary("oct", _read_clinical(folder, most)) for folder in volumes}
    sets["phantom, photographs"] = summary("fundus", phantom_photos)
    sets |= {
        f"phantom, photographs, {name}": summary("fundus", map(damage, phantom_photos))
        for name, damage in PHOTO_DAMAGES.items()
    }
    for folder in photographs:
        sets[f"{folder.name}, photographs"] = summary("fundus", _read_photos(folder, most))
        for name, damage in PHOTO_DAMAGES.items():
            sets[f"{folder.name}, photographs, {name}"] = summary(
                "fundus", map(damage, _read_photos(folder, most // 4))
            )
    return sets


def summary(kind: Kind, images: Iterable[Pixels]) -> dict[str, Any]:
    """Quantiles of each measure, and how many images the default thresholds refuse, by reason."""
    measured = [(measure_volume if kind == "oct" else measure_photo)(image) for image in images]
    names = sorted({name for each in measured for name in each})
    return {
        "images": len(measured),
        "quantiles": {
            name: [round(float(q), 4) for q in np.quantile([each[name] for each in measured if name in each], SHARES)]
            for name in names
        },
        "refused": dict(sorted(Counter(filter(None, (_reason(kind, each) for each in measured))).items())),
    }


def _reason(kind: Kind, quality: Mapping[str, float]) -> str | None:
    seen = Examination(
        pointer="0", kind=kind, patient="0", laterality="R", day=0, source_format="measured", quality=quality
    )
    return judge(seen, SITE)


def describe(sets: Mapping[str, Any]) -> str:
    """The page in Markdown."""
    parts = [INTRODUCTION]
    for name, found in sets.items():
        refused = ", ".join(f"{count} `{reason}`" for reason, count in found["refused"].items()) or "none"
        parts.append(f"## {name}\n\n{found['images']} images; refused: {refused}.\n")
        rows = ["| measure | least | 5 % | median | 95 % | most |", "|---|---|---|---|---|---|"]
        rows += [
            f"| `{measure}` | " + " | ".join(f"{value:g}" for value in values) + " |"
            for measure, values in found["quantiles"].items()
        ]
        parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


def _read_photos(folder: Path, most: int) -> Iterator[Pixels]:
    from PIL import Image

    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".png", ".jpg", ".jpeg"))
    for path in files[:: max(1, len(files) // max(most, 1))][:most]:
        with Image.open(path) as file:
            yield np.asarray(file.convert("RGB"))


def _read_volumes(folder: Path, most: int) -> Iterator[Pixels]:
    import nibabel as nib

    for path in sorted(folder.rglob("*.nii.gz"))[:most]:
        # On disk (along-scan, depth, slice).
        yield np.asarray(nib.load(path).dataobj).transpose(2, 1, 0)


def _read_clinical(folder: Path, most: int) -> Iterator[Pixels]:
    """Volumes of clinical files; those that no reader can read are passed over."""
    from medmd.io import OctVolume, RefusedError, read_all, recognise

    for path in sorted(path for path in folder.rglob("*") if path.is_file())[:most]:
        try:
            records = read_all(path) if recognise(path) else []
        except RefusedError:
            continue
        yield from (record.pixels for record in records if isinstance(record, OctVolume))


if __name__ == "__main__":
    main()
