"""The verbs of the `medmd` command: one module a verb, imported only when that verb is asked for.

The module of `a-verb` is `medmd.commands.a_verb`. It has `add_arguments(parser)`, which declares the verb's arguments,
and `run(args) -> int`, which does the work and returns the exit code.
"""

from medmd.commands._table import VERBS, load_verb

__all__ = ["VERBS", "load_verb"]
