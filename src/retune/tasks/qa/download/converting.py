"""Convert records whose offsets count other units than code points."""

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
    """A converted answer: its place in the file, and the answer before and after."""

    record: Record
    place: str
    before: Answer
    after: Answer
    conversion: Conversion

    @property
    def message(self) -> str:
        """Describe the conversion and its reason."""
        moved = f"moved from offset {self.before.start} to {self.after.start}"
        return f"{excerpt(self.before.text)} {moved}; {self.conversion}"

    def finding(self, kind: str, message: str, change: Change | None = None) -> Finding:
        """A finding at the place of the answer."""
        record, severity = self.record, KINDS[kind].severity
        place = record.place(self.place.format("answer_start"))
        return Finding(kind, severity, record.file, place, record.id, message, change)


def converted(records: Sequence[Record]) -> tuple[list[Record], list[Converted]]:
    """Convert the answers of one file if a unit explains their offsets.

    Returns:
        The records, with new ones for those that change, and the converted answers, in order.
    """
    if all(map(_is_sound, records)):  # the usual case, and much faster
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
    """Yield a note for each converted answer, or an error for each unit without `realign`."""
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
    """Whether every answer is at its offset."""
    context = record.values.get("context")
    return all(
        isinstance(context, str)
        and isinstance(text, str)
        and type(start) is int
        and is_aligned(context, Answer(text, start))
        for text, start in _pairs(record.values.get("answers"))
    )


def _spots(record: Record) -> Iterator[tuple[int, Spot]]:
    """Yield the number and spot of each answer with a text and an offset of 0 or more."""
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
    """Replace answer `number` of a record; the type of its offset stays."""
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
    """The pointer of an answer below its question, with `{}` for the field."""
    answers = record.values["answers"]
    if isinstance(answers, list):
        return f"answers/{number}/{{}}"
    return f"answers/{{}}/{number}" if isinstance(answers["text"], list) else "answers/{}"
