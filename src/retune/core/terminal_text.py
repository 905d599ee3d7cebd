"""Make texts from files and servers safe to print.

An escape code in a file name can clear a screen or hide a line. A direction mark can reverse a
name. Both are printed as Python writes them in a string, and long messages are cut.
"""

import argparse
import re
import sys
from typing import IO, NoReturn

#: Control characters except tab and line feed, direction marks, line separators, lone surrogates,
#: tags.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_LONGEST_LINE = 1_000
_MOST_LINES = 30
_LONGEST = 12_000


def escaped(text: str) -> str:
    """Return `text` with control characters and direction marks escaped as in Python."""
    return _UNSAFE.sub(_as_python, text)


def escaped_json(text: str) -> str:
    """Return JSON of the same value with these characters escaped."""
    return _UNSAFE.sub(_as_json, text)


def cut(text: str) -> str:
    """Return a message without the middle of long lines and of long lists of lines."""
    lines = text.split("\n")
    if (left := len(lines) - _MOST_LINES) > 0:
        lines = [*lines[: _MOST_LINES - 1], f"... {left:,} more lines ...", lines[-1]]
    return _without_middle("\n".join(_without_middle(x, _LONGEST_LINE) for x in lines), _LONGEST)


def say(text: object, file: IO[str] | None = None) -> None:
    """Print a text, `escaped`, and flush."""
    print(escaped(str(text)), file=file or sys.stdout, flush=True)


class Parser(argparse.ArgumentParser):
    """A parser that escapes and cuts its error messages."""

    def error(self, message: str) -> NoReturn:
        """Print the usage and `message`, and exit with code 2."""
        super().error(cut(escaped(message)))


def _without_middle(text: str, longest: int) -> str:
    """Cut the middle, because the end of a message says what to do."""
    if len(text) <= longest:
        return text
    begin, end = longest * 2 // 3, longest // 3
    left = len(text) - begin - end
    return f"{text[:begin]} ... {left:,} characters left out ... {text[-end:]}"


def _as_python(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _as_json(match: re.Match[str]) -> str:
    if (code := ord(match[0])) < 0x10000:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
