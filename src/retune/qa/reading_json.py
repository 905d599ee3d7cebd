"""JSON and JSON lines, read strictly: what two readers could take in two ways is an error."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from retune.errors import RetuneError, excerpt

_BLANK = re.compile(r"[ \t\r\n]*")
_TOKEN = re.compile(r'("[^"\\]*(?:\\.[^"\\]*)*")(\s*:)?|[{}]|[^\s"{}\[\],:]+', re.DOTALL)


class UnreadableError(RetuneError):
    """A file that cannot be read at all, so that nothing is known about its questions."""


class _RefusedError(ValueError):
    """A value that `json` would let pass; `find` gives its offset in the text."""

    def __init__(self, message: str, find: Callable[[str], int]) -> None:
        super().__init__(message)
        self.find = find


def read_json(text: str, file: str) -> Iterator[tuple[str, Any]]:
    """Yield `(where, value)`: once, with where "", for JSON; for each line of JSON lines.

    Raises:
        UnreadableError: with file, line and column, for text that is neither.
    """
    start = _skip_blank(text, 0)
    value, end = _decode(text, start, file)
    rest = _skip_blank(text, end)
    if rest == len(text):
        yield "", value
    elif "\n" in text[end:rest] and "\n" not in text[start:end]:
        yield from _read_lines(text, file)
    else:
        raise UnreadableError(
            f"{file}:{_line_column(text, rest)}: the JSON value ends here but the file goes on; "
            "a file holds one JSON value, or one object on each line"
        )


def _read_lines(text: str, file: str) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(text.split("\n"), 1):
        start = _skip_blank(line, 0)
        if start == len(line):
            continue
        value, end = _decode(line, start, file, number)
        rest = _skip_blank(line, end)
        if rest < len(line):
            raise UnreadableError(
                f"{file}:{number}:{rest + 1}: more text behind the line's JSON value; "
                "JSON lines hold one object on each line"
            )
        yield f"line {number}:", value


def parse_json(text: str) -> Any:
    """The value of a short JSON text, such as a cell of a table; raises `ValueError`."""
    value, end = _DECODER.raw_decode(text, _skip_blank(text, 0))
    if _skip_blank(text, end) < len(text):
        raise ValueError("text behind the JSON value")
    return value


def _decode(text: str, start: int, file: str, line: int = 1) -> tuple[Any, int]:
    try:
        return _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        place, why = error.pos, _syntax(text, error)
    except _RefusedError as error:
        place, why = error.find(text), str(error)
    except RecursionError:
        place, why = start, "nested too deeply to be a data set"
    except ValueError:  # int() refuses longer numbers, because their conversion is slow
        place, why = _long_number(text), "a number of more than 4,300 digits"
    raise UnreadableError(f"{file}:{_line_column(text, place, line)}: {why}") from None


def _syntax(text: str, error: json.JSONDecodeError) -> str:
    before = text[: error.pos].rstrip()
    questions = text.count('"question"', 0, error.pos)
    position = f"after {questions:,} questions" if questions else "before any question"
    if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated"):
        return f"the JSON is cut off ({error.msg[0].lower()}{error.msg[1:]}), {position}"
    if before.endswith(",") and text[error.pos] in "]}":
        return f"a trailing comma, {position}; take it away"
    return f"not valid JSON ({error.msg[0].lower()}{error.msg[1:]}), {position}"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        key = next(key for key in keys if keys.count(key) > 1)
        raise _RefusedError(f"the key {excerpt(key)} stands twice in one object", _second_key)
    return value


def _no_constant(name: str) -> NoReturn:
    raise _RefusedError(f"{name} is not JSON; write a number or null", _constant)


def _second_key(text: str) -> int:
    seen: list[set[str]] = []
    for token in _TOKEN.finditer(text):
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
    return next((t.start() for t in _TOKEN.finditer(text) if t[0] in names), 0)


def _long_number(text: str) -> int:
    return next((t.start() for t in _TOKEN.finditer(text) if not t[1] and len(t[0]) > 4300), 0)


def _skip_blank(text: str, start: int) -> int:
    match = _BLANK.match(text, start)
    return match.end() if match else start


def _line_column(text: str, place: int, line: int = 1) -> str:
    column = place - text.rfind("\n", 0, place)
    return f"{line + text.count(chr(10), 0, place)}:{column}"


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)
