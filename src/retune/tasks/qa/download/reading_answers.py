"""Read answers with other names and types, if they have only one meaning."""

import re
from collections.abc import Iterator
from typing import Any

from retune.core.errors import excerpt
from retune.tasks.qa.download.reading_literals import parse_cell

#: Fields that hold the text of answers, and those that hold their offsets.
TEXTS = ("answer_text", "answer", "text", "answers_text", "answers.text", "answers")
STARTS = (
    "answer_start", "answer_starts", "answers_start", "answers.answer_start", "start",
)  # fmt: skip
#: The two documented names, which need no note.
COLUMNS = ("answer_text", "answer_start")

_WHOLE = re.compile(r"\s*(-?\d{1,19})(?:[.,]0*)?\s*", re.ASCII)
_LIKE_AN_ANSWER = re.compile(
    r"answer|(?:^|_)ans(?:_|$)|span|start|offset|gold|label|output|reference|solution|target|truth",
    re.IGNORECASE,
)
_EXAMPLE = 'answers: [{"text": "...", "answer_start": 0}]'


def are_answers(value: Any) -> bool:
    """Whether a value can be the `answers` of a question without changes."""
    if type(value) is list:
        return not value or type(value[0]) is not str
    return type(value) is dict


def gathered(values: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]] | None:
    """Return the fields of a question with its answers in `answers`, and their original fields.

    None if there are no answers, or if two fields may hold the same ones.
    """
    if values.get("answers", "") is None:  # as good as absent
        values = {name: value for name, value in values.items() if name != "answers"}
    found = _container(values) or _pair(values)
    if found is None:
        return None
    answers, names = found
    rest = {name: value for name, value in values.items() if name not in names}
    return rest | {"answers": answers}, names


def as_answer(value: dict[str, Any]) -> dict[str, Any] | None:
    """Return an answer with other names for text and offset under the usual names, or None."""
    found = _names(value)
    return None if found is None else {"text": value[found[0]], "answer_start": value[found[1]]}


def whole_number(value: Any) -> int | None:
    """Return the integer in a text or float, such as "20", 20.0 or "20,0"; None if none."""
    if isinstance(value, str):
        match = _WHOLE.fullmatch(value)
        return int(match[1]) if match else None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return value if type(value) is int else None


def start_cell(cell: str) -> Any:
    """Return the offset or list of offsets in a cell of a table; None if it is empty."""
    if not cell.strip():
        return None
    digits = cell.removeprefix("-")
    if digits.isascii() and digits.isdigit() and len(digits) < 20:
        return int(cell)
    return value_cell(cell)


def value_cell(cell: str) -> Any:
    """Return the list or object in a cell, or its text if it has neither."""
    if cell.lstrip().startswith(("[", "{", "(", "array(", "np.array(")):
        try:
            return parse_cell(cell)
        except ValueError:
            return cell
    return cell


def why_missing(values: dict[str, Any], what: str) -> str:
    """The message for a question without `answers`; `what` is advice if it really has none."""
    return f"no `answers`{_elsewhere(values) or f'; {what}'}"


def why_no_list(values: dict[str, Any], what: str) -> str:
    """The message for a question whose `answers` are not a list; `what` as in `why_missing`."""
    answers = values["answers"]
    kind = f"{excerpt(answers)} ({type(answers).__name__}) is not a list of answers"
    if _is_blank(answers):
        return f"{kind}{_elsewhere(values) or f'; {what}'}"
    return f"{kind}; write the text and its offset as {_EXAMPLE}"


def why_incomplete(answer: dict[str, Any]) -> str:
    """The message for an answer without text or offset, which names its keys."""
    missing = [name for name in ("answer_start", "text") if name not in answer]
    lack = " and no ".join(f"`{name}`" for name in missing)
    return f"no {lack}; its keys are {excerpt(list(answer))}, and an answer needs both"


def _elsewhere(values: dict[str, Any]) -> str:
    """Say where the answers seem to be and how to write them, or ""."""
    names = [name for name in values if _LIKE_AN_ANSWER.search(str(name))]
    likely = [name for name in names if name != "answers" and not _is_blank(values[name])]
    if not likely:
        return ""
    shown = ", ".join(f"`{name}` ({excerpt(values[name], 40)})" for name in likely[:4])
    return f", but {shown}; write the text and its offset as {_EXAMPLE}"


def _container(values: dict[str, Any]) -> tuple[Any, tuple[str, ...]] | None:
    """The value of `answers` or `answer`, if it has texts and offsets."""
    name = "answers" if "answers" in values else "answer"
    value = values.get(name)
    if isinstance(value, str):
        value = value_cell(value)
    return (value, (name,)) if isinstance(value, dict | list) and are_answers(value) else None


def _pair(values: dict[str, Any]) -> tuple[Any, tuple[str, ...]] | None:
    """The answers in a field of texts and a field of offsets."""
    names = _names(values)
    if names is None:
        return None
    text, start = values[names[0]], values[names[1]]
    if _is_blank(text) and _is_blank(start):
        return [], names
    if isinstance(text, list) and not isinstance(start, list) and len(text) == 1:
        start = [start]
    pair = {"text": text, "answer_start": start}
    return (pair if isinstance(text, list) else [pair]), names


def _names(values: dict[str, Any]) -> tuple[str, str] | None:
    texts, starts = (list(_present(values, names)) for names in (TEXTS, STARTS))
    return (texts[0], starts[0]) if len(texts) == len(starts) == 1 else None


def _present(values: dict[str, Any], names: tuple[str, ...]) -> Iterator[str]:
    return (name for name in names if name in values)


def _is_blank(value: Any) -> bool:
    """Whether a cell is empty; pandas writes NaN there, which differs from itself."""
    return value is None or value in ("", []) or value != value  # noqa: PLR0124
