"""Recognise and explain errors of memory allocation."""

import os
import re

_SAYS = re.compile(r"can't allocate memory|out of memory|unable to allocate", re.IGNORECASE)
_AMOUNT = re.compile(r"(?:allocate|size) ([0-9.]+) ?([KMGTPE]i?B|bytes)?", re.IGNORECASE)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an allocator failed: of Python, numpy, Arrow, or torch on CPU or GPU."""
    says = isinstance(error, RuntimeError) and _SAYS.search(str(error))
    return isinstance(error, MemoryError) or bool(says)


def explanation(error: BaseException) -> str:
    """Return how much memory was requested, if `error` says so, and which settings to lower."""
    amount = _AMOUNT.search(str(error))
    asked = f": {_readable(*amount.groups())} more were asked for" if amount else ""
    return (
        f"not enough memory{asked}{_free()}. Lower batch_size, max_length or the limits of the "
        "data in the params, choose a smaller model, or use a machine with more memory"
    )


def _readable(number: str, unit: str | None) -> str:
    if unit and unit.lower() != "bytes":
        return f"{number.rstrip('.')} {unit}"
    return f"{float(number) / 1e9:,.2f} GB"


def _free() -> str:
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return ""
    return f" ({free / 1e9:,.2f} GB are free on this machine)"
