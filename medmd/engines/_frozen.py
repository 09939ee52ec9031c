"""Parts of a network that a stage leaves exactly as they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase

from torch import nn

from medmd.utils import MedmdError


class Frozen:
    """Modules that take no gradient and run in evaluation mode, so that batch norm's statistics stay too.

    Args:
        network: whose modules are meant.
        patterns: names of its modules, with wildcards as in a shell: `encoders`, `unimodal_heads.*.output`.

    Raises:
        MedmdError: a pattern matches no module.
    """

    def __init__(self, network: nn.Module, patterns: Sequence[str]) -> None:
        self.modules: list[nn.Module] = []
        for pattern in patterns:
            found = [module for name, module in network.named_modules() if name and fnmatchcase(name, pattern)]
            if not found:
                known = sorted({name for name, _ in network.named_modules() if name.count(".") < 2} - {""})
                msg = f"train#trainer#frozen: no module is named {pattern!r}. Expected names such as {known[:8]}."
                raise MedmdError(msg)
            self.modules.extend(found)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Inside the block, no parameter of theirs takes a gradient; afterwards each as before."""
        parameters = {id(each): each for module in self.modules for each in module.parameters()}.values()
        before = [(each, each.requires_grad) for each in parameters]
        for each, _ in before:
            each.requires_grad_(False)
            # One that is left over from stage 1 would be stepped on.
            each.grad = None
        try:
            yield
        finally:
            for each, trainable in before:
                each.requires_grad_(trainable)

    def rest(self) -> None:
        """Put them into evaluation mode, after the network was put into training mode."""
        for module in self.modules:
            module.eval()
