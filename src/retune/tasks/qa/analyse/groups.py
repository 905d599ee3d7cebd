"""Groups of questions by what is asked, what the answer is, and how hard it is to find.

Each way of grouping puts every question into one group, so the groups add up to all questions.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import NamedTuple

from retune.tasks.qa.analyse.answer_types import (
    ANSWER_TYPES,
    OTHER,
    QUESTION_WORDS,
    answer_type,
    candidates,
    form,
    question_word,
)
from retune.tasks.qa.analyse.sentences import sentence_spans, sentences_of
from retune.tasks.qa.questions.examples import Example

#: The groups of a question without a gold answer, of one whose gold answer is not in the passage,
#: and of one whose gold answer is neither a date nor a number nor a name.
UNANSWERABLE, UNPLACED, WORDS = "unanswerable", "not in the passage", "words"

Tokens = Callable[[str], list[str]]


class Item(NamedTuple):
    """A question, and how many windows its passage takes."""

    example: Example
    windows: int


class Grouping(NamedTuple):
    """A way of grouping questions.

    Attributes:
        name: what the questions are grouped by.
        names: of the groups, in the order of tables.
        group: returns the group of a question.
    """

    name: str
    names: Sequence[str]
    group: Callable[[Item], str]


def groupings(tokens: Tokens) -> list[Grouping]:
    """Return all ways of grouping.

    Args:
        tokens: the normalizer of the score, which counts and compares words.
    """
    return [
        Grouping(
            "question word",
            (*QUESTION_WORDS, OTHER),
            lambda item: question_word(item.example.question),
        ),
        Grouping("answer type", (*ANSWER_TYPES, UNANSWERABLE), _type),
        _by_range("answer length", (1, 2, 4, 7), partial(_answer_words, tokens), UNANSWERABLE),
        _by_range(
            "passage length",
            (0, 50, 100, 150, 200, 300),
            lambda item: len(tokens(item.example.context)),
        ),
        _by_range("windows", (0, 1, 2, 3), lambda item: item.windows),
        _by_range("answer position", (0, 25, 50, 75), _position, UNPLACED, unit="%"),
        _by_range(
            "question overlap", (0, 25, 50, 75), partial(_overlap, tokens), UNPLACED, unit="%"
        ),
        _by_range("distractors", (0, 1, 3, 6, 10), _distractors, WORDS),
        Grouping("answerable", ("yes", "no"), lambda item: "yes" if item.example.answers else "no"),
    ]


def _by_range(
    name: str,
    starts: Sequence[int],
    value: Callable[[Item], int | None],
    without: str = "",
    *,
    unit: str = "",
) -> Grouping:
    """Return a grouping by ranges of whole numbers; without a value the group is `without`."""
    bounds = [(low, following - 1) for low, following in pairwise(starts)]
    labels = [str(low) if low == high else f"{low} to {high}" for low, high in bounds]
    labels.append(f"{starts[-1]} or more")
    labels = [f"{label} {unit}".rstrip() for label in labels]

    def group(item: Item) -> str:
        found = value(item)
        if found is None:
            return without
        return labels[max(place for place, low in enumerate(starts) if found >= low)]

    return Grouping(name, [*labels, *([without] if without else [])], group)


def _type(item: Item) -> str:
    example = item.example
    if not example.answers:
        return UNANSWERABLE
    return answer_type(example.question, example.answers[0].text)


def _answer_words(tokens: Tokens, item: Item) -> int | None:
    lengths = [len(tokens(answer.text)) for answer in item.example.answers]
    return max(1, min(lengths)) if lengths else None


def _position(item: Item) -> int | None:
    """Return where the first gold answer begins, in percent of the passage."""
    example = item.example
    label = example.label
    return None if label is None else 100 * label.start // max(1, len(example.context))


def _overlap(tokens: Tokens, item: Item) -> int | None:
    """Return how many of the question's words are in the gold answer's sentence, in percent.

    Question words do not count.
    """
    example = item.example
    label = example.label
    if label is None:
        return None
    words = set(tokens(example.question)) - {*QUESTION_WORDS}
    spans = sentence_spans(example.context)
    touched = sentences_of(spans, label.start, label.end)
    sentence = {
        word for number in touched for word in tokens(example.context[slice(*spans[number])])
    }
    return 100 * len(words & sentence) // max(1, len(words))


def _distractors(item: Item) -> int | None:
    """Count the other texts of the passage that have the form of the gold answer, each once."""
    example = item.example
    label = example.label
    if label is None or form(label.text) == "words":
        return None
    gold = {answer.text.casefold() for answer in example.answers}
    spans = candidates(example.context, form(label.text))
    others = {
        example.context[low:high].casefold()
        for low, high in spans
        if not any(low < end and start < high for start, end in example.spans)
    }
    return len(others - gold)
