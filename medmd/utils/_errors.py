"""The one exception that says: the input is wrong, and this is how to mend it."""

import re

_FROM_A_WORKER = re.compile(r"Caught \w+ in ")
_LAST_LINE = re.compile(r"^(?:[\w.]+\.)?\w+Error: ", flags=re.MULTILINE)


class MedmdError(ValueError):
    """Input, configuration or files that cannot be used.

    The text says what is wrong, where (configuration key, pseudonym of the case), what was expected, what was found
    and how to fix it, and never holds a patient identifier. The command line prints the text alone and exits with 2.

    From a worker of a data loader PyTorch hands an error on by making it anew with the worker's whole traceback, and
    the paths in it, as its text: of that only the error's own words are kept.
    """

    def __init__(self, *arguments: object) -> None:
        super().__init__(*(_own_words(each) if isinstance(each, str) else each for each in arguments))


def _own_words(text: str) -> str:
    if not _FROM_A_WORKER.match(text):
        return text
    *_, before = [None, *_LAST_LINE.finditer(text)]
    return text if before is None else text[before.end() :].rstrip("\n")
