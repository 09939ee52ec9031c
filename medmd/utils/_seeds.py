"""Seeds that depend on what is computed, not on when or by whom."""

from __future__ import annotations

import hashlib


def derive_seed(*parts: int | str) -> int:
    """A seed in [0, 2**31) from any mix of numbers and names, the same on every machine.

    Used for torch by (seed, stage, iteration) and for random transforms by (seed, stage, epoch, index of the case), so
    that neither the number of workers nor an interruption changes a draw.
    """
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") % (2**31)
