"""CREMA-D: short clips of actors who say a sentence in one of six emotions, as a spectrogram and a frame.

`python -m data_prep.crema_d --help` is the way to use it. Importing this folder is light.
"""

from data_prep.crema_d._convert import Options, convert

__all__ = ["Options", "convert"]
