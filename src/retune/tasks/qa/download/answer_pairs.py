"""Read the answers of a record as pairs of text and offset, whatever their names and types."""

from collections.abc import Callable, Iterator
from typing import Any

from retune.core.errors import excerpt
from retune.ingest.findings import typed
from retune.tasks.qa.download.reading import Record
from retune.tasks.qa.download.reading_answers import (
    as_answer,
    whole_number,
    why_incomplete,
    why_missing,
    why_no_list,
)
from retune.tasks.qa.questions.examples import UNPLACED

#: What to do about a question that has no answer.
EMPTY = "for a question without an answer write `answers: []`"

_PAIR = {"text", "answer_start"}
_MISSING = f"{EMPTY}, or let `retune ask --data FILE` predict it"


class AnswerPairs:
    """Yields the pairs of a record, and reports what is wrong or converted.

    Args:
        say: takes record, kind, field and message of a fault.
        convert: takes record, field and message of a value that is read in another form.
        may_lack_start: answers need no offset, because they are only scored.
    """

    def __init__(
        self,
        say: Callable[[Record, str, str, str], None],
        convert: Callable[[Record, str, str], None],
        *,
        may_lack_start: bool = False,
    ) -> None:
        self._say = say
        self._convert = convert
        self._may_lack_start = may_lack_start

    def pairs(self, record: Record) -> Iterator[tuple[str, Any, Any]]:
        """Yield (place, text, start) for each answer; `place` has `{}` for the field's name."""
        if "answers" not in record.values:
            self._say(record, "missing_field", "answers", why_missing(record.values, _MISSING))
            return
        answers = record.values["answers"]
        if isinstance(answers, dict):
            yield from self._pairs_of_object(record, answers)
        elif isinstance(answers, list):
            for number, answer in enumerate(answers):
                place = f"answers/{number}"
                if not isinstance(answer, dict):
                    message = f"{typed(answer)} is not an object with `text` and `answer_start`"
                    self._say(record, "wrong_type", place, message)
                elif answer.keys() >= _PAIR:
                    yield f"{place}/{{}}", answer["text"], answer["answer_start"]
                elif plain := self._renamed(record, place, answer):
                    yield f"{place}/{{}}", plain["text"], plain["answer_start"]
        else:
            self._say(record, "wrong_type", "answers", why_no_list(record.values, EMPTY))

    def _renamed(self, record: Record, place: str, answer: dict[str, Any]) -> dict[str, Any] | None:
        """Return an answer under the usual names, or None after an error."""
        plain = as_answer(answer)
        if plain is None and self._may_lack_start and isinstance(answer.get("text"), str):
            return {"text": answer["text"], "answer_start": UNPLACED}
        if plain is None:
            self._say(record, "missing_field", place, why_incomplete(answer))
        else:
            self._convert(record, place, "an answer under other names, read as the usual ones")
        return plain

    def _pairs_of_object(
        self, record: Record, answers: dict[str, Any]
    ) -> Iterator[tuple[str, Any, Any]]:
        pair = answers if answers.keys() >= _PAIR else self._renamed(record, "answers", answers)
        if pair is None:
            return
        texts, starts = pair["text"], pair["answer_start"]
        if isinstance(texts, str):
            self._convert(record, "answers", "one answer, read as a list of it")
            yield "answers/{}", texts, starts
        elif not isinstance(texts, list) or not isinstance(starts, list):
            message = f"{excerpt(answers)}: `text` and `answer_start` must both be lists"
            self._say(record, "wrong_type", "answers", message)
        elif len(texts) != len(starts):
            message = f"{len(texts)} in `text` but {len(starts)} in `answer_start`"
            self._say(record, "answers_length", "answers", message)
        else:
            for number, (value, start) in enumerate(zip(texts, starts, strict=True)):
                yield f"answers/{{}}/{number}", value, start

    def starts(self, record: Record, place: str, given: Any) -> Iterator[Any]:
        """Yield the offsets that a value means, or the value itself if it means none."""
        several = isinstance(given, list) and len(given) > 0
        if several:
            message = "a list of offsets, read as an answer at each"
            self._convert(record, place.format("answer_start"), message)
        for start in given if several else [given]:
            number = whole_number(start)
            if number is not None and type(start) is not int:
                message = f"an offset that is a {type(start).__name__}, read as an integer"
                self._convert(record, place.format("answer_start"), message)
            yield start if number is None else number
