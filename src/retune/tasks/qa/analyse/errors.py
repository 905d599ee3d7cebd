"""The type of error of a wrong answer.

Each wrong answer has one type, the first of these that holds:

- an unanswerable question is answered, or no answer is given to another one (SQuAD 2.0)
- no gold answer has a place in the passage, so nothing could be found
- wrong boundaries: the answer overlaps a gold answer
- no window holds a gold answer whole, or each has more tokens than an answer may have
- the right sentence, but a wrong span of it
- wrong answer type: the answer looks unlike the gold answers, such as a date for a name
- wrong sentence
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from retune.tasks.qa.analyse.answer_types import form
from retune.tasks.qa.analyse.sentences import sentence_spans, sentences_of
from retune.tasks.qa.questions.examples import Example

Span = tuple[int, int]  # first character, and the one behind the last

ANSWERED, MISSED = "answered, but unanswerable", "no answer given"
UNPLACED = "gold answer not in the passage"
NO_WINDOW, TOO_LONG = "gold answer in no window", "gold answer too long"
BOUNDARIES, SPAN = "wrong boundaries", "wrong span of the right sentence"
TYPE, SENTENCE = "wrong answer type", "wrong sentence"
#: All types, in the order of tables.
ERRORS = (BOUNDARIES, SPAN, SENTENCE, TYPE, ANSWERED, MISSED, NO_WINDOW, TOO_LONG, UNPLACED)


class Prediction(NamedTuple):
    """An answer and its place in the passage; None for no answer."""

    text: str
    span: Span | None


def error_type(
    example: Example, prediction: Prediction, windows: Sequence[Span], *, is_too_long: bool
) -> str:
    """Return the type of error of a wrong answer.

    Args:
        example: the question.
        prediction: the answer that is wrong.
        windows: the characters of the passage that each window has.
        is_too_long: whether all gold answers have more tokens than an answer may have.
    """
    if not example.answers:
        return ANSWERED
    if prediction.span is None:
        return MISSED
    if not example.spans:
        return UNPLACED
    if any(_overlap(prediction.span, gold) for gold in example.spans):
        return BOUNDARIES
    if not any(
        low <= start and end <= high for low, high in windows for start, end in example.spans
    ):
        return NO_WINDOW
    return TOO_LONG if is_too_long else _misplaced(example, prediction.text, prediction.span)


def _misplaced(example: Example, text: str, span: Span) -> str:
    sentences = sentence_spans(example.context)
    touched = sentences_of(sentences, *span)
    if any(touched & sentences_of(sentences, *gold) for gold in example.spans):
        return SPAN
    forms = {form(answer.text) for answer in example.answers}
    return SENTENCE if form(text) in forms else TYPE


def _overlap(one: Span, other: Span) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def predicted(text: str, candidates: Sequence[Mapping[str, object]]) -> Prediction:
    """Return an answer with its place, which is that of the best candidate with this text."""
    for candidate in candidates:
        start, end = candidate["start"], candidate["end"]
        if text and candidate["text"] == text and isinstance(start, int) and isinstance(end, int):
            return Prediction(text, (start, end))
    return Prediction(text, None)
