"""A public release as a converter sees it: what it is called, what may be chosen, and what reading it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_prep._split import SplitOptions
from medmd.utils import MedmdError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from medmd.data import Case, Header

PARTS = ("training", "validation", "testing")
VECTORS = "vectors"
COMMON_REASONS = {
    "photograph_unreadable": ("the photograph cannot be read", "unpack the archive again; it may be damaged"),
    "photograph_absent": ("listed, but without a photograph", "unpack the archive again"),
    "beyond_limit": ("not asked for: beyond --limit", "leave --limit out for all"),
    "in_two_parts": (
        "the same content stands in a later part of the release's own split",
        "nothing: it is kept there, so that no test case is trained on",
    ),
    "label_absent": ("no target", "nothing: without it there is nothing to learn"),
    "label_unreadable": ("the target is no number", "look at the row"),
    "label_out_of_range": ("the target is outside its possible range", "look at the row"),
    "not_finite": ("a number of the inputs is NaN or infinite", "export the table again"),
}


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Something that the result depends on and the user chooses.

    Args:
        name: of the setting; the option is `--name` with dashes.
        help: for the user.
        default: a truth value makes an option without an argument.
        allowed: what may be chosen; empty for any text.
    """

    name: str
    help: str
    default: Any = False
    allowed: tuple[str, ...] = ()

    def check(self, value: Any) -> None:
        """Check a value.

        Raises:
            MedmdError: it cannot be chosen.
        """
        fits = isinstance(value, type(self.default)) and (not self.allowed or value in self.allowed)
        if not fits:
            wanted = f"one of {', '.join(self.allowed)}" if self.allowed else f"a {type(self.default).__name__}"
            msg = f"{self.name}: expected {wanted}, got {value!r}."
            raise MedmdError(msg)


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the result depends on.

    Args:
        limit: the first so many cases only; None for all.
        resplit: split anew although the release has parts; folds and `unsplit` do so too.
        split: how to split where the release has no parts, or anew.
        choices: of the release's own settings those that are not the default.
    """

    limit: int | None = None
    resplit: bool = False
    split: SplitOptions = field(default_factory=SplitOptions)
    choices: Mapping[str, Any] = field(default_factory=dict)

    @property
    def keeps_parts(self) -> bool:
        """Whether the release's own parts are kept where it has any."""
        return not (self.resplit or self.split.unsplit or self.split.folds is not None)


@dataclass(kw_only=True)
class Content:
    """What reading a release gives.

    Args:
        header: of the datalist.
        cases: complete but for their photographs. A vector of `matrices` is named by `row`.
        excluded: what is left out, by name -> reason.
        pictures: case id -> photograph, of the input `picture`.
        picture: name of that input.
        matrices: input -> one row a case, written as `vectors/<input>.npy`.
        parts: case id -> part of the release's own split; empty when it has none. Without a part `validation`, a share
            of the training patients becomes one.
        source: digests and names of what was read.
        facts: findings as JSON values.
        summary: lines for a person.
    """

    header: Header
    cases: list[Case]
    excluded: dict[str, str] = field(default_factory=dict)
    pictures: dict[str, Path] = field(default_factory=dict)
    picture: str = ""
    matrices: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    parts: dict[str, str] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    summary: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Release:
    """A public release.

    Args:
        name: of the cohort; its converter is the module `data_prep.<name>`.
        title: for the reader.
        inputs: what a case holds and what its target is, in a line.
        cases: what a case is, in the plural.
        source: what SRC is.
        layout: what SRC holds and what becomes of it, in lines.
        citation: of the release.
        licence: as the release states it, or as it is known from elsewhere.
        read: reads a release; it is given SRC and the value of every choice.
        choices: what the user may choose.
        reasons: reason -> why something is left out, and what to do about it.
        harmless: reasons for which nothing is to be done.
        overlay: of the bundle, by default that of the release's name.
    """

    name: str
    title: str
    inputs: str
    cases: str
    source: str
    layout: str
    citation: str
    licence: str
    read: Callable[[Path, Mapping[str, Any]], Content]
    choices: tuple[Choice, ...] = ()
    reasons: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    harmless: frozenset[str] = frozenset()
    overlay: str = ""

    @property
    def converter(self) -> str:
        """The module."""
        return f"data_prep.{self.name}"

    def settings(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """The value of every choice.

        Raises:
            MedmdError: a choice that the release does not offer, or a value that cannot be chosen.
        """
        unknown = sorted(set(chosen) - {choice.name for choice in self.choices})
        if unknown:
            msg = f"{self.converter}: there is nothing to choose called {', '.join(unknown)}."
            raise MedmdError(msg)
        settings = {choice.name: chosen.get(choice.name, choice.default) for choice in self.choices}
        for choice in self.choices:
            choice.check(settings[choice.name])
        return settings

    def arguments(self, options: Options) -> dict[str, Any]:
        """What the result depends on, as JSON values.

        Raises:
            MedmdError: an option has a value it cannot have.
        """
        if options.limit is not None and options.limit < 1:
            msg = f"limit: expected at least 1, got {options.limit}."
            raise MedmdError(msg)
        options.split.check()
        settings = self.settings(options.choices)
        return {**settings, "limit": options.limit, "resplit": options.resplit, "split": options.split.as_json()}


def row(name: str, number: int) -> str:
    """How a case names its row of the matrix of an input."""
    return f"{VECTORS}/{name}.npy#{number}"
