"""The `medmd` command: it finds the verb, sets up the log and turns errors into one line and an exit code.

Exit codes: what the verb returns; 2 for input that cannot be used; 130 after Ctrl-C; 143 after SIGTERM; 141 when the
reader of the output went away. Whatever else goes wrong is a fault of the program and shows its traceback.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from medmd import __version__
from medmd.commands import VERBS, load_verb
from medmd.utils import MedmdError, Stopped, stop_signals

_USAGE_ERROR = 2
_INTERRUPTED = 128 + 2
_PIPE_CLOSED = 128 + 13
_OWN_LOGGERS = ("medmd", "data_prep")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: the arguments without the program's name; those of the process by default.

    Returns:
        The exit code.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    before, verb, after = _split_at_verb(arguments)
    common = _program_parser().parse_args(before)
    if verb is None:
        _program_parser().print_help()
        return 0
    try:
        return _run(verb, after, common)
    except MedmdError as error:
        if common.debug:
            raise
        return _fail(error)
    except BrokenPipeError:
        # Python would complain once more when it flushes standard output at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PIPE_CLOSED
    except OSError as error:
        if common.debug:
            raise
        return _fail(error)
    except Stopped as stopped:
        return stopped.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("medmd: interrupted\n")
        return _INTERRUPTED


def verb_parser(name: str) -> argparse.ArgumentParser:
    """The parser of one verb, with the options that all verbs share.

    Raises:
        MedmdError: there is no such verb.
    """
    module = load_verb(name)
    parser = argparse.ArgumentParser(
        prog=f"medmd {name}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add_arguments(parser)
    _add_common(parser, default=argparse.SUPPRESS)
    return parser


def _run(verb: str, arguments: list[str], common: argparse.Namespace) -> int:
    # `common` is filled further: the shared options may stand before or after the verb.
    prepare = getattr(load_verb(verb), "prepare", list)
    args = verb_parser(verb).parse_args(prepare(arguments), namespace=common)
    _set_up_log(verbose=args.verbose)
    # So that temporary files are removed and what is being written is left whole.
    with stop_signals():
        return load_verb(verb).run(args)


def _split_at_verb(arguments: list[str]) -> tuple[list[str], str | None, list[str]]:
    # The options before the verb take no value, so the first word without a dash is the verb.
    for position, word in enumerate(arguments):
        if not word.startswith("-"):
            return arguments[:position], word, arguments[position + 1 :]
    return arguments, None, []


def _program_parser() -> argparse.ArgumentParser:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {name:<{width}}  {summary}" for name, summary in VERBS.items())
    parser = argparse.ArgumentParser(
        prog="medmd",
        usage="medmd [--version] [--verbose] [--debug] VERB ...",
        description="Visual-field Mean Deviation from an OCT volume and a fundus photograph.",
        epilog=(
            f"verbs:\n{verbs}\n\n`medmd VERB --help` explains one. Training, evaluation and inference are MONAI's:\n"
            '  python -m monai.bundle run --config_file "$(medmd bundle-path)/train.json"'
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"medmd {__version__}")
    _add_common(parser, default=False)
    return parser


def _add_common(parser: argparse.ArgumentParser, *, default: bool | str) -> None:
    group = parser.add_argument_group("of every verb")
    group.add_argument("--verbose", action="store_true", default=default, help="log details on standard error")
    group.add_argument("--debug", action="store_true", default=default, help="show the traceback of an error")


def _set_up_log(*, verbose: bool) -> None:
    logging.basicConfig(format="%(message)s", level=logging.INFO if verbose else logging.WARNING)
    for name in _OWN_LOGGERS:
        logging.getLogger(name).setLevel(logging.DEBUG if verbose else logging.INFO)


def _fail(error: Exception) -> int:
    sys.stderr.write(f"medmd: error: {error}\n")
    return _USAGE_ERROR


if __name__ == "__main__":
    sys.exit(main())
