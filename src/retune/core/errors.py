"""The exception that users see as a message instead of a traceback."""


class RetuneError(Exception):
    """A problem that the user can fix.

    The message says what is wrong, where (file, field, question id), what is allowed, and what
    to do.
    """


def listed(values: list[str], limit: int = 10) -> str:
    """Join the first `limit` values for a message, with a count of the rest."""
    shown = ", ".join(values[:limit])
    rest = len(values) - limit
    return f"{shown} and {rest} more" if rest > 0 else shown


def excerpt(value: object, limit: int = 80) -> str:
    """Return `repr(value)`, cut to `limit` characters."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def is_panic(error: BaseException) -> bool:
    """Return whether the error is a panic of a Rust library, which is not an `Exception`."""
    return type(error).__name__ == "PanicException"
