"""Records whose offsets count in another unit than the code point, converted together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from retune.core.errors import excerpt
from retune.ingest.findings import Change, Finding
from retune.tasks.qa.download.aligning import is_aligned
from retune.tasks.qa.download.kinds import KINDS
from retune.tasks.qa.download.offset_units import Conversion, Spot, conversions
from retune.tasks.qa.download.reading import Record
from retune.tasks.qa.download.reading_answers import whole_number
from retune.tasks.qa.questions.examples import Answer


@dataclass(frozen=True, slots=True)
class Converted:
    """One answer that is converted: where it stands in its file, and what it was and is."""

    record: Record
    place: str
    before: Answer
    after: Answer
    conversion: Conversion

    @property
    def message(self) -> str:
        """What happens to this answer, and why."""
        moved = f"moved from offset {self.before.start} to {self.after.start}"
        return f"{excerpt(self.before.text)} {moved}; {self.conversion}"

    def finding(self, kind: str, message: str, change: Change | None = None) -> Finding:
        """What is to be said at the answer's place."""
        record, severity = self.record, KINDS[kind].severity
        place = record.place(self.place.format("answer_start"))
        return Finding(kind, severity, record.file, place, record.id, message, change)


def converted(records: Sequence[Record]) -> tuple[list[Record], list[Converted]]:
    """Convert the answers of one file where a unit explains their offsets.

    Returns:
        The records, new ones where something changes, and what changes, in their order.
    """
    if all(map(_is_sound, records)):  # as nearly always, and much faster
        return list(records), []
    places = [(number, *found) for number, record in enumerate(records) for found in _spots(record)]
    changes = {
        number: (after, conversion)
        for conversion in conversions([spot for _, _, spot in places])
        for number, after in conversion.moved.items()
    }
    mended, done = list(records), []
    for number, (after, conversion) in sorted(changes.items()):
        row, key, spot = places[number]
        mended[row] = _with(mended[row], key, after)
        place = _place(records[row], key)
        done.append(Converted(mended[row], place, spot.answer, after, conversion))
    return mended, done


def conversion_findings(changes: list[Converted], realign: bool) -> Iterator[Finding]:
    """A note for each answer that download converts, or, without `realign`, an error a unit."""
    if realign:
        for one in changes:
            yield one.finding("realigned", one.message)
        return
    for conversion, one in {str(one.conversion): one for one in reversed(changes)}.items():
        message = (
            f"{conversion}; `qa.download.realign: true` would convert them, the first "
            f"from {one.before.start} to {one.after.start}"
        )
        yield one.finding("offset_units", message)


def _is_sound(record: Record) -> bool:
    """Whether every answer stands at its offset."""
    context = record.values.get("context")
    return all(
        isinstance(context, str)
        and isinstance(text, str)
        and type(start) is int
        and is_aligned(context, Answer(text, start))
        for text, start in _pairs(record.values.get("answers"))
    )


def _spots(record: Record) -> Iterator[tuple[int, Spot]]:
    """Each answer that has a text and an offset, with its number; -1 is a place in no unit."""
    context, answers = record.values.get("context"), record.values.get("answers")
    if not isinstance(context, str):
        return
    for number, (text, given) in enumerate(_pairs(answers)):
        start = whole_number(given)
        if isinstance(text, str) and text.strip() and start is not None and start >= 0:
            yield number, Spot(context, Answer(text, start))


def _pairs(answers: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(answers, list):
        for answer in answers:
            given = answer if isinstance(answer, dict) else {}
            yield given.get("text"), given.get("answer_start")
    elif isinstance(answers, dict):
        texts, starts = answers.get("text"), answers.get("answer_start")
        if isinstance(texts, list) and isinstance(starts, list):
            yield from zip(texts, starts, strict=False)
        else:
            yield texts, starts


def _with(record: Record, number: int, answer: Answer) -> Record:
    """The record with another answer at `number`, its offset of the type that it was."""
    answers = record.values["answers"]
    if isinstance(answers, list):
        new: Any = [*answers]
        new[number] = _written(answers[number], answer)
    elif isinstance(answers["text"], list):
        one = {name: answers[name][number] for name in ("text", "answer_start")}
        new = answers | {
            name: [*answers[name][:number], value, *answers[name][number + 1 :]]
            for name, value in _written(one, answer).items()
        }
    else:
        new = _written(answers, answer)
    return replace(record, values=record.values | {"answers": new})


def _written(given: dict[str, Any], answer: Answer) -> dict[str, Any]:
    start = type(given["answer_start"])(answer.start)
    return given | {"text": answer.text, "answer_start": start}


def _place(record: Record, number: int) -> str:
    """The pointer of an answer below its question, with a gap for the field."""
    answers = record.values["answers"]
    if isinstance(answers, list):
        return f"answers/{number}/{{}}"
    return f"answers/{{}}/{number}" if isinstance(answers["text"], list) else "answers/{}"
