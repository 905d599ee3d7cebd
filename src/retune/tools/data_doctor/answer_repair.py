"""Bring answers to the form of SQuAD: a list of trimmed objects, each at its place."""

from collections.abc import Callable, Iterator
from typing import Any

from retune.core.errors import excerpt
from retune.ingest.findings import Change
from retune.tasks.qa.download.aligning import (
    explain,
    is_aligned,
    misalignment,
    occurrences,
    placed,
    trimmed,
)
from retune.tasks.qa.download.reading import Record
from retune.tasks.qa.download.reading_answers import as_answer, whole_number
from retune.tasks.qa.download.word_bounds import is_whole
from retune.tasks.qa.questions.examples import Answer

#: Takes record, kind, field, message and change of a corrected place.
Note = Callable[[Record, str, str, str, Change], None]

_FIELDS = {"text", "answer_start"}


def mend_answers(record: Record, note: Note, *, drop: bool) -> None:
    """Correct `record.values["answers"]` in place, if the correction is certain.

    With `drop`, misaligned answers are left out if aligned ones remain.
    """
    items = _items(record, note)
    if items is None:
        return
    items = [plain for item in items for plain in _plain(record, *item, note)]
    answers = [_answer(record, place, item, note) for place, item in items]
    if drop:
        answers = _without_lost(record, [place for place, _ in items], answers, note)
    record.values["answers"] = answers


def _items(record: Record, note: Note) -> list[tuple[str, Any]] | None:
    """(place, value) of each answer, `place` with `{}` for the field; None if unknown."""
    answers = record.values.get("answers")
    impossible = record.values.get("is_impossible") is True
    if answers is None and impossible:
        kind = "wrong_type" if "answers" in record.values else "missing_field"
        note(record, kind, "answers", "no list of answers", Change(answers, []))
        return []
    items = _listed(record, answers, note)
    if impossible and items and all(_is_blank(item) for _, item in items):
        message = "an answer without text on a question that has none"
        note(record, "empty_answer", "answers", message, Change(answers, []))
        return []
    return items


def _listed(record: Record, answers: Any, note: Note) -> list[tuple[str, Any]] | None:
    if isinstance(answers, list):
        return [(f"answers/{number}/{{}}", item) for number, item in enumerate(answers)]
    return _items_of_object(record, answers, note) if isinstance(answers, dict) else None


def _items_of_object(
    record: Record, answers: dict[str, Any], note: Note
) -> list[tuple[str, Any]] | None:
    if not answers.keys() >= _FIELDS:
        plain = as_answer(answers)
        return None if plain is None else _items_of_object(record, plain, note)
    if not isinstance(answers["text"], list):
        message = "one answer, not a list of answers"
        note(record, "converted", "answers", message, Change(answers, [answers]))
        return [("answers/{}", answers)]
    columns = list(answers.values())
    if not all(isinstance(c, list) and len(c) == len(columns[0]) for c in columns):
        return None
    items = [dict(zip(answers, row, strict=True)) for row in zip(*columns, strict=True)]
    if is_nested(record):
        message = "two lists, as in flat files, where nested JSON has a list of objects"
        note(record, "list_answers", "answers", message, Change(answers, items))
    return [(f"answers/{{}}/{number}", item) for number, item in enumerate(items)]


def _plain(record: Record, place: str, item: Any, note: Note) -> Iterator[tuple[str, Any]]:
    """Yield an answer under the usual names, once for each of its offsets."""
    renamed = as_answer(item) if isinstance(item, dict) and not item.keys() >= _FIELDS else None
    answer = item if renamed is None else renamed
    starts = answer.get("answer_start") if isinstance(answer, dict) else None
    several = starts if isinstance(starts, list) else []
    plain = [answer | {"answer_start": start} for start in several] or [answer]
    if renamed or several:
        where, message = place.format("").rstrip("/"), "an answer in another form"
        note(record, "converted", where, message, Change(item, plain))
    yield from ((place, one) for one in plain)


def is_nested(record: Record) -> bool:
    """Whether a question is in a paragraph."""
    return "/qas/" in record.where


def _is_blank(item: Any) -> bool:
    return isinstance(item, dict) and item.get("text") in ("", None)


def _answer(record: Record, place: str, item: Any, note: Note) -> Any:
    context = record.values.get("context")
    if not isinstance(context, str):
        return item
    if isinstance(item, str):
        item = _found(record, place, {"text": item}, note, context, "wrong_type", item)
    if not isinstance(item, dict) or not isinstance(item.get("text"), str):
        return item
    if not item["text"].strip():
        return item
    if "answer_start" not in item:
        item = _found(record, place, item, note, context, "missing_field", item)
    item = _with_integer(record, place, item, note)
    if type(item.get("answer_start")) is not int:
        return item
    return _placed(record, place, item, note, context)


def _found(
    record: Record,
    place: str,
    item: dict[str, Any],
    note: Note,
    context: str,
    kind: str,
    before: Any,
) -> Any:
    """Return the answer with the offset of its only occurrence, or `before` if there is none."""
    text = item["text"].strip()
    ends = [(place, place + len(text)) for place in occurrences(context, text)] if text else []
    places = [start for start, end in ends if is_whole(context, start, end)]
    if len(places) != 1:
        return before
    after = item | {"text": text, "answer_start": places[0]}
    message = f"no answer_start; the context has {excerpt(text)} once, at {places[0]}"
    note(record, kind, place.format("").rstrip("/"), message, Change(before, after))
    return after


def _with_integer(record: Record, place: str, item: dict[str, Any], note: Note) -> dict[str, Any]:
    start = item.get("answer_start")
    number = whole_number(start)
    if number is None or type(start) is int:
        return item
    message = f"the answer_start {excerpt(start)} ({type(start).__name__}) is not an integer"
    note(record, "converted", place.format("answer_start"), message, Change(start, number))
    return item | {"answer_start": number}


def _placed(
    record: Record, place: str, item: dict[str, Any], note: Note, context: str
) -> dict[str, Any]:
    answer = Answer(item["text"], item["answer_start"])
    there = placed(context, answer, realign=True)
    if there is None or there == answer:
        return item
    after = item | {"text": there.text, "answer_start": there.start}
    change = Change(_brief(item), _brief(after))
    if not is_aligned(context, answer):
        message, kind = explain(context, answer), misalignment(context, answer)
        note(record, kind, place.format("answer_start"), message, change)
    if trimmed(answer) != answer:
        message = f"white space at an edge of {excerpt(answer.text)}"
        note(record, "trimmed", place.format("text"), message, change)
    return after


def _without_lost(record: Record, places: list[str], answers: list[Any], note: Note) -> list[Any]:
    context = record.values.get("context")
    if not isinstance(context, str):
        return answers
    lost = [_is_lost(context, answer) for answer in answers]
    if all(lost):
        return answers
    for place, answer, is_lost in zip(places, answers, lost, strict=True):
        if is_lost:
            message = explain(context, Answer(answer["text"], answer["answer_start"]))
            field = place.format("answer_start")
            change = Change(_brief(answer), None)
            note(record, "dropped_answer", field, f"{message}; others remain", change)
    return [answer for answer, is_lost in zip(answers, lost, strict=True) if not is_lost]


def _is_lost(context: str, answer: Any) -> bool:
    if not isinstance(answer, dict) or not isinstance(answer.get("text"), str):
        return False
    start = answer.get("answer_start")
    return type(start) is int and not is_aligned(context, Answer(answer["text"], start))


def _brief(answer: dict[str, Any]) -> dict[str, Any]:
    return {"text": answer["text"], "answer_start": answer["answer_start"]}
