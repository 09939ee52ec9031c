"""A cached MONAI dataset whose random transforms depend on the case and the epoch, not on the worker."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import deepcopy
from pathlib import PurePath
from typing import Any

from monai.data import CacheDataset

from medmd.utils import MedmdError, derive_seed, progress

_REMEDY = (
    "Mend or put back its files (`medmd check` examines a datalist's) and start the same command again, or leave the "
    "case out."
)


class CaseDataset(CacheDataset):
    """Cases, their deterministic transforms computed once, their random transforms seeded case by case.

    The seed of the random transforms is drawn from (seed, stage, epoch, index), and from the number of the view where a
    case comes in several, so that 0, 1 or many workers, and a run that was stopped and resumed, give equal batches, bit
    for bit. Randomness must come from MONAI's `Randomizable`
    (as in all of MONAI's `Rand…` transforms), whose state can be set. Use it with `SeededSampler` and
    `monai.data.DataLoader`.

    The cache keeps one item a case in memory, in the size that the last deterministic transform leaves (0.6 MB for a
    1 x 32 x 64 x 64 volume and a 3 x 112 x 112 photograph in float32). A cached item is copied before it is handed on.

    Args:
        data: dictionaries as `load_items` gives them.
        transform: a `Compose` or a list of dictionary transforms.
        seed: the run's seed.
        cache: False computes every transform at every access.
        num_workers: threads that fill the cache.
        progress: show how far the cache is.
    """

    def __init__(
        self,
        data: Sequence[Mapping[str, Any]],
        transform: Sequence[Callable[..., Any]] | Callable[..., Any] | None = None,
        *,
        seed: int,
        cache: bool = True,
        num_workers: int = 1,
        progress: bool = True,
    ) -> None:
        self.seed = seed
        super().__init__(data, transform, cache_rate=1.0 if cache else 0.0, num_workers=num_workers, progress=progress)

    def __getitem__(self, index: Any) -> Any:
        """One item.

        Args:
            index: a position, which stands for stage "" and epoch 0, or (stage, epoch, position) or
                (stage, epoch, position, view) as `SeededSampler` yields it. A slice or a list of positions gives a
                `Subset`.
        """
        if isinstance(index, tuple):
            return self._draw(*index)
        if isinstance(index, slice | Sequence):
            return super().__getitem__(index)
        return self._draw("", 0, int(index))

    def _draw(self, stage: str, epoch: int, index: int, *view: int) -> Any:
        position = index + len(self) if index < 0 else index
        if not 0 <= position < len(self):
            msg = f"index: expected below {len(self)}, got {index}."
            raise IndexError(msg)
        self.transform.set_random_state(seed=derive_seed(self.seed, stage, epoch, position, *view))
        return self._transform(position)

    def _transform(self, index: int) -> Any:
        with _naming(self.data[index]):
            return self._finish(index) if self.cache_num else self.transform(deepcopy(self.data[index]))

    def _finish(self, index: int) -> Any:
        # Copied also when no transform is random: what is handed out may be changed by whoever gets it.
        item = deepcopy(self._cache[index])
        start = self._first_random()
        return item if start is None else self.transform(item, start=start)

    def _first_random(self) -> int | None:
        from monai.transforms import RandomizableTrait, Transform

        return self.transform.get_index_of_first(
            lambda transform: isinstance(transform, RandomizableTrait) or not isinstance(transform, Transform)
        )

    def _load_cache_item(self, idx: int) -> Any:
        with _naming(self.data[idx]):
            return super()._load_cache_item(idx)

    def _fill_cache(self, indices: Sequence[int] | None = None) -> list[Any]:
        wanted = range(self.cache_num) if indices is None else indices
        if not wanted:
            return []
        # An executor, unlike a ThreadPool, ends its threads in order when a case cannot be loaded.
        with ThreadPoolExecutor(self.num_workers) as pool:
            items: Iterator[Any] = pool.map(self._load_cache_item, wanted)
            if self.progress:
                items = progress(items, total=len(wanted), description="Loading cases")
            return list(items)


@contextmanager
def _naming(item: Mapping[str, Any]) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - readers and transforms may raise anything; the cause is told
        # Without the chain: its texts hold paths, whose folders may name a patient.
        raise _named(item, error) from None


def _named(item: Mapping[str, Any], error: Exception) -> MedmdError:
    root: BaseException = error
    # Our own errors already say in one line what is wrong; what lies beneath them would not.
    while root.__cause__ is not None and not isinstance(root, MedmdError):
        root = root.__cause__
    if isinstance(root, MedmdError) and str(item.get("case_id")) in str(root):
        # MONAI wrapped it; it names the case already.
        return root if _REMEDY in str(root) else MedmdError(f"{str(root).rstrip('.')}. {_REMEDY}")
    frame = traceback.extract_tb(root.__traceback__)[-1]
    place = f"{PurePath(frame.filename).name}:{frame.lineno}"
    cause = _without_paths(f"{type(root).__name__}: {root}", item)
    return MedmdError(f"Case {item.get('case_id', '?')}: cannot be loaded. Got {cause} (at {place}). {_REMEDY}")


def _without_paths(text: str, item: Mapping[str, Any]) -> str:
    for name, value in item.items():
        if isinstance(value, str) and PurePath(value).is_absolute():
            for part in (value, str(PurePath(value).parent), PurePath(value).name):
                text = text.replace(part, f"<{name}>")
    return text
