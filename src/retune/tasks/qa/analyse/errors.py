"""What kind of mistake a wrong answer is.

Each wrong answer is of one kind, the first of these that holds:

- answered, but there is no answer; or no answer given, but there is one (SQuAD 2.0)
- the reference is nowhere in the passage, so nothing could be found
- no window holds a reference whole, or each has more tokens than an answer may have
- other bounds: the answer overlaps a reference
- the right sentence, but another span in it
- another kind: the answer looks unlike the reference (a date for a name, see `answer_kinds`)
- another sentence
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from retune.tasks.qa.analyse.answer_kinds import form
from retune.tasks.qa.analyse.sentences import sentence_spans, sentences_of
from retune.tasks.qa.questions.examples import Example

ANSWERED, MISSED = "answered, but there is no answer", "no answer given"
UNPLACED = "reference not in the passage"
NO_WINDOW, TOO_LONG = "reference in no window", "reference too long"
BOUNDS, SENTENCE = "other bounds", "other span of the right sentence"
KIND, ELSEWHERE = "answer of another kind", "other sentence"
#: All kinds, in the order of tables.
ERRORS = (BOUNDS, SENTENCE, ELSEWHERE, KIND, ANSWERED, MISSED, NO_WINDOW, TOO_LONG, UNPLACED)

#: Notes of the tokenize stage on questions that no answer fits, and their kind of mistake.
_NOTED = {"answer_in_no_window": NO_WINDOW, "answer_too_long": TOO_LONG}


class Given(NamedTuple):
    """An answer and its place in the context, in characters; None if it has none."""

    text: str
    start: int | None
    end: int | None


def error_kind(example: Example, given: Given, notes: Collection[str] = ()) -> str:
    """Return the kind of mistake of a wrong answer.

    Args:
        example: the question.
        given: the answer that was wrong.
        notes: what the tokenize stage noted about the question.
    """
    return _impossible(example, given, notes) or _misplaced(example, given)


def _impossible(example: Example, given: Given, notes: Collection[str]) -> str | None:
    """Return the kind of a mistake that is not one of place."""
    if not example.answers:
        return ANSWERED
    if given.start is None:
        return MISSED
    if example.label is None:
        return UNPLACED
    return next((kind for note, kind in _NOTED.items() if note in notes), None)


def _misplaced(example: Example, given: Given) -> str:
    start, end = given.start or 0, given.end or 0
    if any(start < high and low < end for low, high in example.spans):
        return BOUNDS
    sentences = sentence_spans(example.context)
    touched = sentences_of(sentences, start, end)
    if any(touched & sentences_of(sentences, *span) for span in example.spans):
        return SENTENCE
    forms = {form(answer.text) for answer in example.answers}
    return ELSEWHERE if form(given.text) in forms else KIND


def given_answer(text: str, candidates: Sequence[Mapping[str, object]]) -> Given:
    """Return the answer with its place, which is that of the best candidate with this text."""
    for candidate in candidates:
        start, end = candidate["start"], candidate["end"]
        if candidate["text"] == text and isinstance(start, int) and isinstance(end, int):
            return Given(text, start, end)
    return Given(text, None, None)
