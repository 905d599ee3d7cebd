"""Read JSON strictly: anything ambiguous is an error."""

import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any, NoReturn

from retune.core.errors import excerpt

#: A string (and the colon that makes it a key), a brace, or a bare word.
TOKEN = re.compile(r'("[^"\\]*(?:\\.[^"\\]*)*")(\s*:)?|[{}]|[^\s"{}\[\],:]+', re.DOTALL)
_BLANK = re.compile(r"[ \t\r\n]*")


class RefusedError(ValueError):
    """An error for a value that `json` accepts; `find` returns its offset in the text."""

    def __init__(self, kind: str, message: str, find: Callable[[str], int]) -> None:
        super().__init__(message)
        self.kind = kind
        self.find = find


def parse_json(text: str) -> Any:
    """Parse a short JSON text, such as a cell of a table; raises `ValueError`."""
    value, end = DECODER.raw_decode(text, skip_blank(text, 0))
    if skip_blank(text, end) < len(text):
        raise ValueError("text after the JSON value")
    return value


def skip_blank(text: str, start: int) -> int:
    """The end of the blanks that begin at `start`."""
    match = _BLANK.match(text, start)
    return match.end() if match else start


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        key = next(key for key, times in Counter(keys).items() if times > 1)
        message = f"the key {excerpt(key)} appears twice in one object"
        raise RefusedError("duplicate_key", message, _second_key)
    return value


def _no_constant(name: str) -> NoReturn:
    message = f"{name} is not JSON; write a number or null"
    raise RefusedError("invalid_json", message, _constant)


def _second_key(text: str) -> int:
    seen: list[set[str]] = []
    for token in TOKEN.finditer(text):
        if token[0] == "{":
            seen.append(set())
        elif token[0] == "}":
            seen.pop()
        elif token[2]:
            key = json.loads(token[1])
            if key in seen[-1]:
                return token.start()
            seen[-1].add(key)
    return 0


def _constant(text: str) -> int:
    names = {"NaN", "Infinity", "-Infinity"}
    return next((t.start() for t in TOKEN.finditer(text) if t[0] in names), 0)


#: Reads a value and returns its end, too; raises `RefusedError` if it is not strict JSON.
DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)
