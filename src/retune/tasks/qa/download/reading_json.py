"""Read JSON and JSON lines strictly: anything ambiguous is an error."""

import json
from collections.abc import Iterator
from typing import Any

from retune.ingest.strict_json import DECODER, TOKEN, RefusedError, skip_blank
from retune.ingest.text_files import UnreadableError

_QUESTION = '"question"'


def read_json(text: str, file: str) -> Iterator[tuple[str, Any]]:
    """Yield `(where, value)`: once, with where "", for JSON; for each line of JSON lines.

    Raises:
        UnreadableError: with file, line and column, for text that is neither.
    """
    start = skip_blank(text, 0)
    value, end = _decode(text, start, file)
    rest = skip_blank(text, end)
    if rest == len(text):
        yield "", value
    elif "\n" in text[end:rest] and "\n" not in text[start:end]:
        yield from _read_lines(text, file)
    else:
        why = (
            "the JSON value ends here but the file goes on; "
            "a file holds one JSON value, or one object on each line"
        )
        raise UnreadableError("invalid_json", file, why, line_column(text, rest))


def _read_lines(text: str, file: str) -> Iterator[tuple[str, Any]]:
    count = 0
    for number, line in enumerate(text.split("\n"), 1):
        start = skip_blank(line, 0)
        if start == len(line):
            continue
        value, end = _decode(line, start, file, number, count)
        count += 1
        rest = skip_blank(line, end)
        if rest < len(line):
            why = "more text behind the line's JSON value; JSON lines hold one object on each line"
            raise UnreadableError("invalid_json", file, why, f"{number}:{rest + 1}")
        yield f"line {number}:", value


def _decode(text: str, start: int, file: str, line: int = 1, count: int = 0) -> tuple[Any, int]:
    """The value at `start` and its end; `line` and `count` are those before the text."""
    try:
        return DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        place, (kind, why) = error.pos, _syntax(text, error, count)
    except RefusedError as error:
        place, kind, why = error.find(text), error.kind, str(error)
    except RecursionError:
        raise too_deep(file, line_column(text, start, line)) from None
    except ValueError:  # int() refuses longer numbers, because their conversion is slow
        place, kind = _long_number(text), "invalid_json"
        why = "a number of more than 4,300 digits"
    raise UnreadableError(kind, file, why, line_column(text, place, line)) from None


def too_deep(file: str, where: str) -> UnreadableError:
    """The error for a value so deep that Python cannot walk it."""
    return UnreadableError("invalid_json", file, "nested too deeply to be a data set", where)


def _syntax(text: str, error: json.JSONDecodeError, count: int) -> tuple[str, str]:
    before = text[: error.pos].rstrip()
    count += _whole_questions(text, error.pos)
    whole = f"{count:,} whole question{'' if count == 1 else 's'} before it"
    if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated"):
        return "truncated", f"the JSON is cut off ({_lowered(error.msg)}), {whole}"
    if before.endswith(",") and text[error.pos] in "]}":
        return "trailing_comma", f"a trailing comma, {whole}; remove it"
    return "invalid_json", f"not valid JSON ({_lowered(error.msg)}), {whole}"


def _whole_questions(text: str, end: int) -> int:
    """Count the objects with the key "question" that are closed before `end`."""
    count, last = text.count(_QUESTION, 0, end), text.rfind(_QUESTION, 0, end)
    depth = 0
    for token in TOKEN.finditer(text, last, end) if count else ():
        depth += (token[0] == "{") - (token[0] == "}")
        if depth < 0:
            return count
    return max(count - 1, 0)


def _lowered(message: str) -> str:
    return message[0].lower() + message[1:]


def _long_number(text: str) -> int:
    return next((t.start() for t in TOKEN.finditer(text) if not t[1] and len(t[0]) > 4300), 0)


def line_column(text: str, place: int, line: int = 1) -> str:
    """`line:column` of an offset in a text that begins in line `line`."""
    column = place - text.rfind("\n", 0, place)
    return f"{line + text.count(chr(10), 0, place)}:{column}"
