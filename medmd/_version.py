"""The version, alone in a module that imports nothing, so that packaging and `--version` read it without torch."""

__version__ = "0.1.0"
