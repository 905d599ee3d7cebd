"""The one exception that users see as a sentence instead of a traceback."""


class RetuneError(Exception):
    """A problem that the user can mend.

    The message says what is wrong, where (file, field, question id), what is
    allowed, and what to do about it.
    """


def listed(values: list[str], limit: int = 10) -> str:
    """Join `values` for a message, the first `limit` of them and a count of the rest."""
    shown = ", ".join(values[:limit])
    rest = len(values) - limit
    return f"{shown} and {rest} more" if rest > 0 else shown


def excerpt(value: object, limit: int = 80) -> str:
    """`repr(value)`, cut to `limit` characters."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def is_panic(error: BaseException) -> bool:
    """Whether a library in Rust gave up, which is no `Exception` in Python."""
    return type(error).__name__ == "PanicException"
