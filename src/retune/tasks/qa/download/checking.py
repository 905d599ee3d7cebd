"""Check records and make examples of them; every fault of every record becomes a finding.

The download stage stops at errors; other callers may list them. Everything that is mended or
dropped, or is worth knowing, becomes a note.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from retune.core.errors import excerpt
from retune.ingest.characters import control_characters
from retune.ingest.findings import Finding, typed
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
from retune.tasks.qa.download.faults import (
    fault_of_field,
    fault_of_id,
    faults_of_start,
    faults_of_text,
    repeated_id,
)
from retune.tasks.qa.download.kinds import KINDS
from retune.tasks.qa.download.reading import Record
from retune.tasks.qa.download.reading_json import too_deep
from retune.tasks.qa.questions.examples import UNPLACED, Answer, Example

LONGEST_CONTEXT = 10_000_000


@dataclass(frozen=True, slots=True)
class Rules:
    """What to do with data that can be read in more than one way.

    Attributes:
        squad_v2: questions may have no answer. Without it such a question is an error.
        realign: move a misaligned answer to the only place where it can be
            (`retune.tasks.qa.download.aligning.realigned`). Without it such an answer is an error.
        drop_unanswerable: without `squad_v2`, leave out questions that have no answer.
        only_scored: answers need no place; one that stays misaligned is kept without.
        drop_unplaced: leave out a question if none of its answers has a place.
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
        """Check the items of `reading.read_records` for a file of this split."""
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
        """Add a note for each other form in which values of this file were read."""
        for note, count in self._converted.values():
            message = f"{note.message} ({count:,} in this file)" if count > 1 else note.message
            self.findings.append(replace(note, message=message))
        self._converted.clear()

    def check(self, record: Record) -> Example | None:
        """Check one record; return its example, or None if it is unsound or left out."""
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
        """Note a question that the same context already has; blanks at the edges do not count."""
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
        if message := fault_of_id(shown):
            self._say(record, "bad_id", "id", message)
        first = self.records.setdefault(value, record) if value else record
        if first is not record:
            self._say(record, *repeated_id(first, record))
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
        if isinstance(value, str) and (message := control_characters(value)):
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
        value: Any = record.values[field]
        if fault := fault_of_field(value, field, may_be_blank=may_be_blank):
            kind, message = fault
            self._say(record, kind, field, message)
            return ""
        return str(value)

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
                        message = f"{excerpt(value)} has no certain place; only EM and F1 count it"
                        self._say(record, "unplaced_answer", place.format("answer_start"), message)
                    else:
                        kind, why = misalignment(context, answer), self._why(context, answer)
                        lost.append((place.format("answer_start"), kind, why))
        misplaced = any(kind != "empty_answer" for _, kind, _ in lost)
        self._left_out = self.rules.drop_unplaced and misplaced and not kept
        for place, kind, message in lost:
            self._lose(record, place, kind, message, bool(kept))
        return kept

    def _why(self, context: str, answer: Answer) -> str:
        """Say what is wrong with a misaligned answer, and each remedy."""
        why = explain(context, answer)
        if self.rules.only_scored and realigned(context, trimmed(answer)) is None:
            why += "; `qa.download.realign: true` would let it count for EM and F1 without a place"
        return why

    def _may_be_unplaced(self, context: str, answer: Answer) -> bool:
        """Whether a misaligned answer is kept, for the score only."""
        if not self.rules.only_scored:
            return False
        return self.rules.realign or answer.start < 0 or answer.text.strip() not in context

    def _lose(self, record: Record, place: str, kind: str, message: str, others: bool) -> None:
        """Refuse an answer, or leave it out, alone or with its question, if the rules allow it."""
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
        faults = [*faults_of_text(value), *faults_of_start(start)]
        for kind, field, message in faults:
            self._say(record, kind, place.format(field), message)
        return not faults

    def _mended(self, record: Record, place: str, context: str, answer: Answer) -> Answer:
        """Return the answer trimmed, and moved if the rules ask for it and its place is certain."""
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
            message = f"white space at an edge of {excerpt(answer.text)} removed"
            self._say(record, "trimmed", place.format("text"), message)
        return mended

    def _check_flag(self, record: Record) -> None:
        impossible = record.values.get("is_impossible")
        if impossible is not None and not isinstance(impossible, bool):
            message = f"{typed(impossible)} is neither true nor false"
            self._say(record, "wrong_type", "is_impossible", message)

    def _may_be_without(self, record: Record, answers: list[Answer]) -> bool:
        """Whether the question may be kept, judged by whether it has an answer."""
        impossible = record.values.get("is_impossible")
        if impossible and answers:
            message = "is_impossible is true but there are answers; remove one of the two"
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
        """Count what is read in another form; `close_file` reports it once for each file."""
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
