"""Handle standard streams that the caller has closed."""

import os
import sys
from collections.abc import Sequence

from retune.core.errors import RetuneError


def hold_standard_streams() -> list[str]:
    """Point closed standard streams to the null device, and return their names.

    Otherwise the next opened file gets the number of a closed stream, and libraries print into
    that file.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    closed = [name for name in ("stdin", "stdout", "stderr") if getattr(sys, name) is None]
    for name in closed:
        null = open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8")  # noqa: SIM115
        setattr(sys, name, null)
    return closed


def require_open(closed: Sequence[str], *, reads: bool) -> None:
    """Check the streams of a command that prints its result, and that reads input if `reads`.

    Raises:
        RetuneError: standard output is closed, or standard input is and the command reads it.
    """
    if "stdout" in closed:
        raise RetuneError("standard output is closed; send it to a terminal or a file")
    if "stdin" in closed and reads:
        raise RetuneError("no TEXT, and standard input is closed; give one of the two")
