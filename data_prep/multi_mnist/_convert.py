"""The conversion: MNIST's files in; datalist, pictures of two digits, report and contact sheet out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_prep._contact_sheet import Shown, spread
from data_prep._output import OutputFolder, check_apart
from data_prep._pages import cohort_lines, summaries, write_report
from data_prep._parallel import check_workers, map_in_order
from data_prep._photographs import write_png
from data_prep._report import ConversionReport, Tally, versions
from data_prep.multi_mnist._compose import CANVAS, MOST_SHIFT, RECIPE, Pair, compose, draw_pairs
from data_prep.multi_mnist._idx import Half, read_half
from medmd.utils import MedmdError, derive_seed, progress

if TYPE_CHECKING:
    from medmd.data import Case, Header

CONVERTER = "data_prep.multi_mnist"
DATALIST = "datalist.json"
TASKS = ("left", "right")
DIGITS = tuple(str(digit) for digit in range(10))
SIZES = (CANVAS, 28)
_SHOWN = 180
SOURCE = (
    "Composed from MNIST (LeCun, Cortes and Burges) after Sabour et al., Dynamic Routing Between Capsules, 2017, and "
    "Sener and Koltun, Multi-Task Learning as Multi-Objective Optimization, 2018"
)


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the result depends on.

    Args:
        training: how many pictures to train on.
        validation: how many to validate on, of digits of the training half that no training picture shows.
        testing: how many to test on, of MNIST's test half.
        shift: by how many pixels, 0 to this, each digit is moved from its corner towards the middle; 0 to 3.
        size: rows and columns of a picture, 36 or 28.
        seed: of the pairs and their places.
    """

    training: int = 20_000
    validation: int = 4_000
    testing: int = 4_000
    shift: int = 2
    size: int = CANVAS
    seed: int = 0

    def check(self) -> None:
        """Check every option.

        Raises:
            MedmdError: an option has a value it cannot have.
        """
        for name in ("training", "validation", "testing"):
            if getattr(self, name) < 1:
                msg = f"{name}: expected at least 1 picture, got {getattr(self, name)}."
                raise MedmdError(msg)
        if not 0 <= self.shift <= MOST_SHIFT or self.size not in SIZES:
            msg = f"expected a shift of 0 to {MOST_SHIFT} and a size of 36 or 28, got {self.shift} and {self.size}."
            raise MedmdError(msg)

    def as_json(self) -> dict[str, Any]:
        """The options as JSON values."""
        return dict(vars(self))


def convert(
    source: str | Path, out: str | Path, *, options: Options | None = None, workers: int = 1
) -> ConversionReport:
    """Compose MultiMNIST.

    `out` receives `datalist.json`, `digits/*.png`, `report.json`, `report.html` and `contact_sheet.png`. A later call
    with equal options continues what was interrupted; the bytes do not depend on `workers` or on interruptions.

    Args:
        source: folder with MNIST's four files.
        out: a new or empty folder, or that of an earlier call with equal options.
        options: by default 20,000, 4,000 and 4,000 pictures of 36 x 36.
        workers: how many pictures at a time, at least 1.

    Returns:
        The report.

    Raises:
        MedmdError: a file is absent or damaged, an option is wrong, or `out` is in use.
    """
    from medmd.data import Datalist, write_datalist

    source, options = Path(source), options or Options()
    options.check()
    check_workers(workers)
    check_apart(source, Path(out))
    halves = {part: read_half(source, part) for part in ("training", "testing")}
    pools = digit_pools(halves, options)
    output = OutputFolder(out, converter=CONVERTER, arguments=options.as_json())
    splits: dict[str, list[Case]] = {}
    for part, pool in pools.items():
        half = halves["testing" if part == "testing" else "training"]
        seed = derive_seed(options.seed, "multi_mnist", part)
        pairs = draw_pairs(pool, getattr(options, part), shift=options.shift, seed=seed)
        splits[part] = _write_part(part, half, pairs, output, options, workers)
    header = make_header(options)
    write_datalist(output.path / DATALIST, Datalist(header=header, splits=splits))
    output.record_written(DATALIST)
    return _report(halves, pools, splits, header, output, options)


def digit_pools(halves: Mapping[str, Half], options: Options) -> dict[str, list[int]]:
    """Which digits each part draws from: the training half's last share is for validation, and no digit is in two.

    Raises:
        MedmdError: a part has fewer than two digits.
    """
    digits = len(halves["training"].labels)
    kept = round(digits * options.training / (options.training + options.validation))
    pools = {
        "training": list(range(kept)),
        "validation": list(range(kept, digits)),
        "testing": list(range(len(halves["testing"].labels))),
    }
    for part, pool in pools.items():
        if len(pool) < 2:
            msg = f"MNIST: expected at least two digits for {part}, got {len(pool)}."
            raise MedmdError(msg)
    return pools


def make_header(options: Options) -> Header:
    """The header, for pictures made with these options."""
    from medmd.data import Header, InputSpec, TargetSpec

    tasks = [TargetSpec.of_classes(name, DIGITS) for name in TASKS]
    description = f"two digits, {options.size} x {options.size}, the brighter of both at every pixel"
    return Header(
        name="multi_mnist",
        description="Two handwritten digits on one picture; the tasks are the digit at the top left and the one at the "
        "bottom right. Every picture counts as a patient of its own; no digit stands in two lists.",
        inputs={"digits": InputSpec(kind="image", details={"description": description})},
        target=TargetSpec.of_tasks("digits", tasks),
        source=SOURCE,
        converter=CONVERTER,
    )


def _write_part(
    part: str, half: Half, pairs: Sequence[Pair], output: OutputFolder, options: Options, workers: int
) -> list[Case]:
    from medmd.data import Case

    work = list(enumerate(pairs))
    write = partial(_write, part=part, half=half, output=output, options=options)
    written = progress(map_in_order(write, work, workers=workers), total=len(pairs), description=part, unit="picture")
    cases = []
    for (number, pair), (name, made_from, sha256) in zip(work, written, strict=True):
        output.record(name, made_from=made_from, sha256=sha256)
        case_id = f"{part}-{number:05d}"
        cases.append(
            Case(
                case_id=case_id,
                patient_id=case_id,
                patient_id_is_surrogate=True,
                inputs={"digits": name},
                target=[int(half.labels[pair.left]), int(half.labels[pair.right])],
                hashes={"digits": sha256},
                details={"mnist": [pair.left, pair.right]},
            )
        )
    return cases


def _write(
    work: tuple[int, Pair], *, part: str, half: Half, output: OutputFolder, options: Options
) -> tuple[str, str, str]:
    from PIL import Image

    number, pair = work
    name = f"digits/{part}-{number:05d}.png"
    made_from = f"{RECIPE}:{next(iter(half.files.values()))[:16]}:{options.size}:{pair.origin}"
    known = output.reusable(name, made_from=made_from)
    if known is not None:
        return name, made_from, known
    picture = Image.fromarray(compose(half.images, pair, size=options.size))
    return name, made_from, write_png(output.path / name, picture)


def _report(
    halves: Mapping[str, Half],
    pools: Mapping[str, Sequence[int]],
    splits: Mapping[str, Sequence[Case]],
    header: Header,
    output: OutputFolder,
    options: Options,
) -> ConversionReport:
    from medmd.data import Datalist

    total = sum(map(len, splits.values()))
    report = ConversionReport(
        converter=CONVERTER,
        arguments=options.as_json(),
        source={"release": "MNIST", "files": {k: v for half in halves.values() for k, v in half.files.items()}},
        tallies=[Tally("pictures", total=total, converted=total, word="quarantined")],
        reasons={},
        facts={
            "digits_drawn_from": {part: len(pool) for part, pool in pools.items()},
            "versions": versions("numpy", "pillow"),
        },
    )
    cohorts = summaries({DATALIST: Datalist(header=header, splits=splits)})
    report.summary.extend(cohort_lines(cohorts))
    cases = splits["training"]
    shown = [_shown(cases[place], output) for place in spread(len(cases))]
    write_report(report, cohorts, shown, output)
    output.finish()
    return report


def _shown(case: Case, output: OutputFolder) -> Shown:
    """A picture, large enough to be seen."""
    from PIL import Image

    buffer = BytesIO()
    with Image.open(output.path / str(case.inputs["digits"])) as picture:
        picture.resize((_SHOWN, _SHOWN), Image.Resampling.NEAREST).save(buffer, format="PNG")
    digits: Any = case.target
    return Shown(BytesIO(buffer.getvalue()), f"{digits[0]} and {digits[1]}")
