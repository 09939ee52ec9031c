"""MultiMNIST: two handwritten digits on one small picture, composed from the MNIST files; two tasks, a digit each.

`python -m data_prep.multi_mnist --help` is the way to use it. Importing this folder is light.
"""

from data_prep.multi_mnist._convert import Options, convert

__all__ = ["Options", "convert"]
