"""The conversion: sounds and frames in; datalist, pictures, report and contact sheet out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_prep._contact_sheet import Shown, spread
from data_prep._output import OutputFolder, check_apart
from data_prep._pages import cohort_lines, summaries, write_report
from data_prep._parallel import check_workers, map_in_order
from data_prep._photographs import RECIPE as FRAME_RECIPE
from data_prep._photographs import read_photograph, write_png
from data_prep._report import ConversionReport, Tally, versions
from data_prep._split import SplitOptions, split_cases
from data_prep.crema_d._clips import EMOTIONS, Clip, Found, find_clips
from data_prep.crema_d._sound import RECIPE as SOUND_RECIPE
from data_prep.crema_d._sound import read_sound, spectrogram
from medmd.utils import MedmdError, progress, sha256_bytes

if TYPE_CHECKING:
    from medmd.data import Case, Datalist, Header

CONVERTER = "data_prep.crema_d"
DATALIST = "datalist.json"
CITATION = (
    'Cao et al., "CREMA-D: Crowd-sourced Emotional Multimodal Actors Dataset", IEEE Transactions on Affective '
    "Computing 5(4), 2014"
)
LICENCE = "Open Database License (ODbL) 1.0 according to the repository"
REASONS = {
    "unusable": "neither a sound nor a frame of the clip can be used",
    "not_a_clip": "a name that is no clip's, such as 1001_DFA_ANG_XX",
    "beyond_limit": "not asked for: beyond --limit",
}
FIXES = {
    "unusable": "download the clip again",
    "not_a_clip": "look at the file",
    "beyond_limit": "leave --limit out for all clips",
}


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the result depends on.

    Args:
        limit: the first so many clips only; None for all.
        split: how to split by actor.
    """

    limit: int | None = None
    split: SplitOptions = field(default_factory=SplitOptions)

    def check(self) -> None:
        """Check every option.

        Raises:
            MedmdError: an option has a value it cannot have.
        """
        if self.limit is not None and self.limit < 1:
            msg = f"limit: expected at least 1, got {self.limit}."
            raise MedmdError(msg)
        self.split.check()

    def as_json(self) -> dict[str, Any]:
        """The options as JSON values."""
        return {"limit": self.limit, "split": self.split.as_json()}


@dataclass
class Pictures:
    """The pictures of a clip.

    Args:
        clip: whose they are.
        files: input -> (name below the output, what it was made from, SHA-256).
        faults: input -> why it cannot be used.
    """

    clip: Clip
    files: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)


def convert(
    source: str | Path,
    out: str | Path,
    *,
    frames: str | Path | None = None,
    options: Options | None = None,
    workers: int = 1,
) -> ConversionReport:
    """Convert CREMA-D to a datalist.

    `out` receives `datalist.json`, `audio/*.png`, `frame/*.png`, `report.json`, `report.html` and `contact_sheet.png`;
    the source is only read. A later call with equal options continues what was interrupted; the bytes do not depend on
    `workers` or on interruptions.

    Args:
        source: with AudioWAV/*.wav, and Image-01-FPS/<clip>/*.jpg where frames were extracted.
        out: a new or empty folder, or that of an earlier call with equal options.
        frames: folder of the frame folders, when it is another one.
        options: by default all clips, split 70/10/20 by actor.
        workers: how many clips at a time, at least 1.

    Returns:
        The report. When its `usable` is 0, no datalist is there.

    Raises:
        MedmdError: the source holds no clip, an option is wrong, or `out` is in use.
    """
    source, options = Path(source), options or Options()
    options.check()
    check_workers(workers)
    check_apart(source, Path(out))
    found = find_clips(source, frames=None if frames is None else Path(frames))
    asked = found.clips[: options.limit]
    output = OutputFolder(out, converter=CONVERTER, arguments=options.as_json())
    work = map_in_order(partial(_write, output=output), asked, workers=workers)
    done = list(progress(work, total=len(asked), description="clips", unit="clip"))
    for pictures in done:
        for name, made_from, sha256 in pictures.files.values():
            output.record(name, made_from=made_from, sha256=sha256)
    cases = [make_case(pictures) for pictures in done if pictures.files]
    report = _report(found, done, options)
    cohorts = summaries(_write_datalist(cases, output, options) if cases else {})
    report.summary.extend([f"actors: {len({case.patient_id for case in cases})}", *cohort_lines(cohorts)])
    write_report(report, cohorts, _shown(cases, output), output)
    output.finish()
    return report


def make_case(pictures: Pictures) -> Case:
    """A case from a clip of which a picture at least is written."""
    from medmd.data import Case

    actor, sentence, _, level = pictures.clip.name.split("_")
    return Case(
        case_id=pictures.clip.name,
        patient_id=f"actor-{actor}",
        inputs={name: file[0] for name, file in pictures.files.items()},
        target=pictures.clip.emotion,
        hashes={name: file[2] for name, file in pictures.files.items()},
        details={"sentence": sentence, "level": level},
    )


def make_header() -> Header:
    """The header."""
    from medmd.data import Header, InputSpec, TargetSpec

    audio = "spectrogram of three seconds, 256 x 300, 0 to -80 dB, low frequencies at the bottom"
    return Header(
        name="crema_d",
        description="Clips of actors; the class is the intended emotion. All clips of an actor are in one list.",
        inputs={
            "audio": InputSpec(kind="image", details={"description": audio}),
            "frame": InputSpec(kind="image", details={"description": "the frame in the middle of the clip"}),
        },
        target=TargetSpec.of_classes("emotion", tuple(EMOTIONS.values())),
        source=CITATION,
        converter=CONVERTER,
        details={"licence": LICENCE},
    )


def _write(clip: Clip, *, output: OutputFolder) -> Pictures:
    pictures = Pictures(clip)
    for name, path in (("audio", clip.audio), ("frame", clip.middle)):
        if path is None:
            continue
        try:
            pictures.files[name] = _write_one(f"{name}/{clip.name}.png", name, path, output)
        except (MedmdError, OSError) as error:
            pictures.faults[name] = str(error) if isinstance(error, MedmdError) else type(error).__name__
    return pictures


def _write_one(name: str, kind: str, path: Path, output: OutputFolder) -> tuple[str, str, str]:
    from PIL import Image

    data = path.read_bytes()
    made_from = f"{SOUND_RECIPE if kind == 'audio' else FRAME_RECIPE}:{sha256_bytes(data)}"
    known = output.reusable(name, made_from=made_from)
    if known is None:
        picture = Image.fromarray(spectrogram(read_sound(path))) if kind == "audio" else read_photograph(data)
        known = write_png(output.path / name, picture)
    return name, made_from, known


def _write_datalist(cases: list[Case], output: OutputFolder, options: Options) -> Mapping[str, Datalist]:
    from medmd.data import Datalist, write_datalist

    header = make_header()
    datalist = Datalist(header=header, splits=split_cases(cases, options.split, header.target))
    write_datalist(output.path / DATALIST, datalist)
    output.record_written(DATALIST)
    return {DATALIST: datalist}


def _report(found: Found, done: Sequence[Pictures], options: Options) -> ConversionReport:
    tally = Tally("clips", total=len(found.clips) + len(found.unnamed), word="quarantined")
    tally.converted = sum(bool(pictures.files) for pictures in done)
    for pictures in done:
        if not pictures.files:
            tally.exclude("unusable", pictures.clip.name)
    for clip in found.clips[len(done) :]:
        tally.exclude("beyond_limit", clip.name)
    for name in found.unnamed:
        tally.exclude("not_a_clip", name)
    kept = [pictures for pictures in done if pictures.files]
    return ConversionReport(
        converter=CONVERTER,
        arguments=options.as_json(),
        source={"release": "CREMA-D", "licence": LICENCE, "videos_not_decoded": found.videos, "others": found.others},
        tallies=[tally],
        reasons=REASONS,
        fixes=FIXES,
        harmless=frozenset({"beyond_limit"}),
        facts={
            "emotions": dict(Counter(list(EMOTIONS.values())[pictures.clip.emotion] for pictures in kept)),
            "missing_inputs": {name: sum(name not in item.files for item in kept) for name in ("audio", "frame")},
            "faults": [{"clip": item.clip.name, **item.faults} for item in done if item.faults],
            "versions": versions("numpy", "scipy", "pillow"),
        },
    )


def _shown(cases: Sequence[Case], output: OutputFolder) -> list[Shown]:
    """Pictures from the first to the last clip, a frame where there is one."""
    names = list(EMOTIONS.values())
    chosen = [cases[place] for place in spread(len(cases))]
    return [
        Shown(
            output.path / str(case.inputs.get("frame") or case.inputs["audio"]),
            f"{case.case_id}\n{names[int(case.target)]}",  # type: ignore[arg-type]
        )
        for case in chosen
    ]
