"""The clips of a release: what their names say, and which files each has."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from medmd.utils import MedmdError

# In the order that the authors of OGM-GE number them.
EMOTIONS = {"NEU": "neutral", "HAP": "happy", "SAD": "sad", "FEA": "fear", "DIS": "disgust", "ANG": "anger"}
AUDIO_FOLDER, FRAME_FOLDER = "AudioWAV", "Image-01-FPS"
_CLIP = re.compile(rf"(\d{{4}})_([A-Z]{{3}})_({'|'.join(EMOTIONS)})_(LO|MD|HI|XX|X)")
_FRAMES = (".jpg", ".jpeg", ".png")
_VIDEOS = (".flv", ".mp4", ".mov", ".avi")


@dataclass
class Clip:
    """One clip.

    Args:
        name: as the release names it, as 1001_DFA_ANG_XX: actor, sentence, emotion, level.
        audio: the sound, None when absent.
        frames: pictures of the clip in the order of their names; empty when absent.
    """

    name: str
    audio: Path | None = None
    frames: list[Path] = field(default_factory=list)

    @property
    def actor(self) -> str:
        """The release's number of the actor, which is a pseudonym already."""
        return self.name.split("_")[0]

    @property
    def emotion(self) -> int:
        """Index of the emotion."""
        return list(EMOTIONS).index(self.name.split("_")[2])

    @property
    def middle(self) -> Path | None:
        """The frame in the middle; of an even number the later one."""
        return self.frames[len(self.frames) // 2] if self.frames else None


@dataclass
class Found:
    """What lies below the source.

    Args:
        clips: in the order of their names.
        unnamed: names of sounds and frame folders that are no clip's.
        videos: how many videos lie there, which are not decoded.
        others: how many files lie in neither folder and are no videos.
    """

    clips: list[Clip]
    unnamed: list[str]
    videos: int
    others: int


def find_clips(source: Path, *, frames: Path | None = None) -> Found:
    """Find sounds and frames.

    Args:
        source: with a folder AudioWAV anywhere below, and Image-01-FPS where frames were extracted.
        frames: the folder of frame folders, when it is another one.

    Raises:
        MedmdError: there is no sound and no frame, or `frames` is no folder.
    """
    if frames is not None and not frames.is_dir():
        msg = f"--frames {frames}: expected a folder with the frame folders, such as {FRAME_FOLDER}; there is none."
        raise MedmdError(msg)
    clips: dict[str, Clip] = {}
    unnamed: list[str] = []
    for path in sorted(source.rglob(f"{AUDIO_FOLDER}/*.wav")):
        if _CLIP.fullmatch(path.stem):
            clips.setdefault(path.stem, Clip(path.stem)).audio = path
        else:
            unnamed.append(path.name)
    roots = [frames] if frames is not None else sorted(source.rglob(FRAME_FOLDER))
    for folder in [folder for root in roots for folder in sorted(root.iterdir()) if folder.is_dir()]:
        pictures = sorted(path for path in folder.iterdir() if path.suffix.lower() in _FRAMES)
        if not _CLIP.fullmatch(folder.name):
            unnamed.append(f"{folder.name}/")
        elif pictures:
            clips.setdefault(folder.name, Clip(folder.name)).frames = pictures
    if not clips:
        msg = (
            f"{source}: expected {AUDIO_FOLDER}/1001_DFA_ANG_XX.wav … or {FRAME_FOLDER}/1001_DFA_ANG_XX/*.jpg; found "
            "neither."
        )
        raise MedmdError(msg)
    files = [path for path in source.rglob("*") if path.is_file()]
    videos = sum(path.suffix.lower() in _VIDEOS for path in files)
    known = {path for clip in clips.values() for path in (clip.audio, *clip.frames)}
    others = sum(path not in known and path.suffix.lower() not in _VIDEOS for path in files) - len(unnamed)
    return Found([clips[name] for name in sorted(clips)], unnamed, videos, max(0, others))
