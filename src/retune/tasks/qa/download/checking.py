"""Records to examples: every fault of every record found, named with its place and mended.

The download stage stops at errors; other callers may list them. What was mended, dropped
or is merely worth knowing becomes a note, so that nothing happens in silence.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from retune.core.errors import excerpt
from retune.ingest.findings import Finding
from retune.tasks.qa.download.aligning import (
    explain,
    is_aligned,
    misalignment,
    placed,
    realigned,
    spelt,
    trimmed,
)
from retune.tasks.qa.download.answer_pairs import EMPTY, AnswerPairs
from retune.tasks.qa.download.converting import conversion_findings, converted
from retune.tasks.qa.download.kinds import KINDS
from retune.tasks.qa.download.reading import Record
from retune.tasks.qa.download.reading_json import too_deep
from retune.tasks.qa.questions.examples import UNPLACED, Answer, Example

LONGEST_ID = 512
LONGEST_CONTEXT = 10_000_000

_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_CONTROL_IN_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Rules:
    """What to do where data can be taken in more than one way.

    `squad_v2` lets questions have no answer; without it such a question is an error, or
    left out if `drop_unanswerable`. `realign` moves an answer that is not at its offset
    to the only place where it can stand (see `retune.tasks.qa.download.aligning.realigned`);
    without it such an answer is an error. In a split that is `only_scored` answers need no place:
    one that stays misaligned is kept without. Elsewhere `drop_unplaced` leaves a question out where
    none of its answers has a place.
    """

    squad_v2: bool
    realign: bool
    drop_unanswerable: bool
    only_scored: bool = False
    drop_unplaced: bool = False


class Checker:
    """Checks the records of one split, one after the other.

    Attributes:
        examples: the questions that are sound, in file order.
        findings: errors and notes, in file order.
        records: the first record of each id, sound or not.
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.examples: list[Example] = []
        self.findings: list[Finding] = []
        self.records: dict[str, Record] = {}
        self._contexts: set[str] = set()
        self._questions: dict[tuple[str, str], tuple[str, bool]] = {}
        self._converted: dict[tuple[str, str], tuple[Finding, int]] = {}
        self._read = AnswerPairs(self._say, self._convert, may_lack_start=rules.only_scored)
        self._failed = self._left_out = False

    def add(self, items: Iterable[Record | Finding]) -> None:
        """Check what `reading.read_records` gave for a file of this split."""
        items = list(items)
        records, changes = converted([item for item in items if isinstance(item, Record)])
        mended = iter(records)
        self.findings += conversion_findings(changes, self.rules.realign)
        for item in items:
            if isinstance(item, Finding):
                self.findings.append(item)
            else:
                self.check(next(mended))
        self.close_file()

    def close_file(self) -> None:
        """Add what was read in another form, a note for each form and file."""
        for note, count in self._converted.values():
            message = f"{note.message} ({count:,} in this file)" if count > 1 else note.message
            self.findings.append(replace(note, message=message))
        self._converted.clear()

    def check(self, record: Record) -> Example | None:
        """Check one record: its example, or None where it is unsound or left out."""
        try:
            example = self._example(record)
        except RecursionError:
            raise too_deep(record.file, record.where) from None
        if example is not None:
            self.examples.append(example)
        return example

    def _example(self, record: Record) -> Example | None:
        self._failed = self._left_out = False
        name = self._id(record)
        title = self._title(record)
        context = self._context(record)
        question = self._text(record, "question")
        answers = self._answers(record, context)
        self._check_flag(record)
        if self._failed or self._left_out or not self._may_be_without(record, answers):
            return None
        self._compare_copies(record, (context.strip(), question.strip()), bool(answers))
        return Example(name, title, context, question, tuple(answers))

    def _compare_copies(self, record: Record, key: tuple[str, str], answered: bool) -> None:
        """Note a question that stands already on the same context, blanks at edges aside."""
        first, with_answer = self._questions.setdefault(key, (record.id, answered))
        if first == record.id:
            return
        message = f"the same question on the same context as question {excerpt(first)}"
        if with_answer == answered:
            self._say(record, "repeated_question", "question", message)
        else:
            difference = "which has no answer" if answered else "which has one; here is none"
            self._say(record, "differing_copies", "question", f"{message}, {difference}")

    def _id(self, record: Record) -> str:
        given = record.values.get("id")
        if type(given) is int:
            value = str(given)
            self._convert(record, "id", "an integer as id, read as its digits")
        else:
            value = self._text(record, "id")
        shown = given if isinstance(given, str) else value
        if _CONTROL.search(shown) or len(shown) > LONGEST_ID:
            message = f"{excerpt(shown)} has control characters or over {LONGEST_ID} characters"
            self._say(record, "bad_id", "id", message)
        first = self.records.setdefault(value, record) if value else record
        if first is not record:
            self._say(record, *_twice(first, record))
        return value

    def _title(self, record: Record) -> str:
        if record.values.get("title") in (None, ""):
            return ""
        return self._text(record, "title", may_be_blank=True)

    def _context(self, record: Record) -> str:
        value = record.values.get("context")
        if isinstance(value, str) and value in self._contexts:
            return value
        if isinstance(value, str) and len(value) > LONGEST_CONTEXT:
            message = f"{len(value):,} characters; at most {LONGEST_CONTEXT:,}, so split it"
            self._say(record, "long_context", "context", message)
            return ""
        if isinstance(value, str) and (found := _CONTROL_IN_TEXT.findall(value)):
            message = f"{len(found)} control characters, the first {excerpt(found[0])}"
            self._say(record, "control_characters", "context", message)
        context = self._text(record, "context")
        if context:
            self._contexts.add(context)
        return context

    def _text(self, record: Record, field: str, may_be_blank: bool = False) -> str:
        """The string in `field`, or "" after an error."""
        if field not in record.values:
            self._say(record, "missing_field", field, f"no `{field}`")
            return ""
        value = record.values[field]
        if not isinstance(value, str):
            message = f"{_typed(value)} is not a string; write a string"
            self._say(record, "wrong_type", field, message)
            return ""
        if not value.strip() and not may_be_blank:
            self._say(record, "empty_field", field, f"the {field} is empty")
        elif not value.isascii() and (match := _SURROGATE.search(value)):
            message = f"half of a surrogate pair, {excerpt(match[0])}, at offset {match.start()}"
            self._say(record, "lone_surrogate", field, message)
        else:
            return value
        return ""

    def _answers(self, record: Record, context: str) -> list[Answer]:
        kept: list[Answer] = []
        lost: list[tuple[str, str, str]] = []
        read = self._read
        for place, value, given in read.pairs(record):
            if isinstance(value, str) and not value.strip():
                message = f"the answer {excerpt(value)} is empty"
                lost.append((place.format("text"), "empty_answer", message))
                continue
            for start in (given,) if type(given) is int else read.starts(record, place, given):
                if self._is_sound(record, place, value, start) and context:
                    answer = self._mended(record, place, context, Answer(value, start))
                    if is_aligned(context, answer):
                        kept.append(answer)
                    elif self._may_be_unplaced(context, answer):
                        kept.append(Answer(answer.text, UNPLACED))
                        self._say_unplaced(record, place, value)
                    else:
                        kind, why = misalignment(context, answer), self._why(context, answer)
                        lost.append((place.format("answer_start"), kind, why))
        misplaced = any(kind != "empty_answer" for _, kind, _ in lost)
        self._left_out = self.rules.drop_unplaced and misplaced and not kept
        for place, kind, message in lost:
            self._lose(record, place, kind, message, bool(kept))
        return kept

    def _why(self, context: str, answer: Answer) -> str:
        """What is wrong with a misaligned answer, and each way out."""
        why = explain(context, answer)
        if self.rules.only_scored and realigned(context, trimmed(answer)) is None:
            why += "; `qa.download.realign: true` would let it count for EM and F1 without a place"
        return why

    def _say_unplaced(self, record: Record, place: str, text: str) -> None:
        message = f"{excerpt(text)} has no certain place; it counts for EM and F1 only"
        self._say(record, "unplaced_answer", place.format("answer_start"), message)

    def _may_be_unplaced(self, context: str, answer: Answer) -> bool:
        """Whether a misaligned answer is kept for the score; one to be moved is not."""
        if not self.rules.only_scored:
            return False
        return self.rules.realign or answer.start < 0 or answer.text.strip() not in context

    def _lose(self, record: Record, place: str, kind: str, message: str, others: bool) -> None:
        """Leave an answer out where rules allow it, alone or with its question, or refuse it."""
        is_empty = kind == "empty_answer"
        if (others and self.rules.realign) or self._left_out:
            kind = "dropped_empty_answer" if is_empty else "dropped_answer"
            message += "; left out, others remain" if others else "; left out with its question"
        elif not is_empty and self.rules.realign:
            message += ", or set `qa.download.realign: drop` to leave such questions out"
        elif is_empty and others:
            advice = "delete it, or set `qa.download.realign: true` to leave it out"
            message += f"; {advice}, as others remain"
        elif is_empty:
            message += f"; {EMPTY}"
        self._say(record, kind, place, message)

    def _is_sound(self, record: Record, place: str, value: Any, start: Any) -> bool:
        faults = [*_faults_of_text(value), *_faults_of_start(start)]
        for kind, field, message in faults:
            self._say(record, kind, place.format(field), message)
        return not faults

    def _mended(self, record: Record, place: str, context: str, answer: Answer) -> Answer:
        """The answer trimmed, and moved where that is asked for and certain."""
        mended = placed(context, answer, self.rules.realign)
        if mended is None:
            return answer
        core = trimmed(answer)
        if not is_aligned(context, answer):
            message = f"{excerpt(core.text)} moved from offset {core.start} to {mended.start}"
            if mended.text != core.text:
                message += f"; other {spelt(core, mended)}"
            self._say(record, "realigned", place.format("answer_start"), message)
        if core != answer:
            message = f"white space at an edge of {excerpt(answer.text)} taken away"
            self._say(record, "trimmed", place.format("text"), message)
        return mended

    def _check_flag(self, record: Record) -> None:
        impossible = record.values.get("is_impossible")
        if impossible is not None and not isinstance(impossible, bool):
            message = f"{_typed(impossible)} is neither true nor false"
            self._say(record, "wrong_type", "is_impossible", message)

    def _may_be_without(self, record: Record, answers: list[Answer]) -> bool:
        """Whether the question is to be kept, as far as having no answer goes."""
        impossible = record.values.get("is_impossible")
        if impossible and answers:
            message = "is_impossible is true but there are answers; take one of the two away"
            self._say(record, "impossible_with_answers", "is_impossible", message)
        elif impossible is False and not answers:
            message = "no answer, though is_impossible is false; make it true or add the answer"
            self._say(record, "no_answer", "answers", message)
        elif answers or self.rules.squad_v2:
            return True
        elif self.rules.drop_unanswerable:
            self._say(record, "dropped_unanswerable", "answers", "no answer; left out")
        else:
            message = (
                "no answer; set `qa.squad_v2: true` to learn and score such questions, "
                "or `qa.download.unanswerable: drop` to leave them out"
            )
            self._say(record, "unanswerable", "answers", message)
        return False

    def _convert(self, record: Record, field: str, message: str) -> None:
        """Count what is read in another form, to be told once for each file."""
        key = record.file, message
        note, count = self._converted.get(key) or (
            Finding("converted", "note", record.file, record.place(field), record.id, message),
            0,
        )
        self._converted[key] = note, count + 1

    def _say(self, record: Record, kind: str, field: str, message: str) -> None:
        severity = KINDS[kind].severity
        self._failed |= severity == "error"
        place = record.place(field)
        self.findings.append(Finding(kind, severity, record.file, place, record.id, message))


#: Another way out for an id that stands twice.
_REPEATED = ", or set `qa.download.repeated_ids: first` or `last`"


def _twice(first: Record, record: Record) -> tuple[str, str, str]:
    """(kind, field, message) of an id that another question has already."""
    here, there = record.values["id"], first.values["id"]
    place = f"{first.file}: {first.where}"
    if type(here) is not type(there):
        message = f"the ids {_typed(here)} here and {_typed(there)} at {place} are one as text"
        return "duplicate_id", "id", f"{message}; change one"
    if first.values == record.values:
        message = f"the id stands already at {place} with the same content; delete one{_REPEATED}"
        return "duplicate_id_same", "id", message
    message = f"the id stands already at {place} on other content; change one{_REPEATED}"
    return "duplicate_id", "id", message


def _faults_of_text(value: Any) -> Iterator[tuple[str, str, str]]:
    """(kind, field, message) of each fault of an answer's text."""
    if not isinstance(value, str):
        yield "wrong_type", "text", f"the text {_typed(value)} is not a string"
    elif not value.isascii() and _SURROGATE.search(value):
        yield "lone_surrogate", "text", f"half of a surrogate pair in {excerpt(value)}"


def _faults_of_start(start: Any) -> Iterator[tuple[str, str, str]]:
    """(kind, field, message) of each fault of an answer's offset."""
    if type(start) is not int:
        message = f"the answer_start {_typed(start)} is not an integer; write it as one"
        yield "wrong_type", "answer_start", message


def _typed(value: Any) -> str:
    return f"{excerpt(value)} ({type(value).__name__})"
