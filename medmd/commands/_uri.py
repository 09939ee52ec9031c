"""Addresses that may be shown."""

from __future__ import annotations


def without_credentials(uri: str) -> str:
    """The address of a tracking server without user, password, query and fragment.

    Everything up to the last `@` goes, because a password that was not percent-encoded may hold `/`, `?`, `#` and `@`.

    Args:
        uri: for example `https://user:password@host/path`, `sqlite:////folder/file.db`, `databricks`.

    Returns:
        The rest: scheme, host, port and path. A query, which may hold a token, is dropped.
    """
    scheme, separator, rest = uri.partition("://")
    if not separator:
        scheme, rest = "", uri
    shown = rest.rpartition("@")[2]
    return scheme + separator + shown.partition("?")[0].partition("#")[0]
