"""Visual-field Mean Deviation from an OCT volume and a fundus photograph: Re-M3Dr as a MONAI pipeline.

Importing this package imports nothing else; take names from its folders, as in `from medmd.losses import SmapeR2Loss`.
"""

from medmd._version import __version__

__all__ = ["__version__"]
