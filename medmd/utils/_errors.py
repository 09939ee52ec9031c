"""The one exception that says: the input is wrong, and this is how to mend it."""


class MedmdError(ValueError):
    """Input, configuration or files that cannot be used.

    The text says what is wrong, where (configuration key, pseudonym of the case), what was expected, what was found
    and how to fix it, and never holds a patient identifier. The command line prints the text alone and exits with 2.
    """
