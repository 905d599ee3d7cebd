"""Groups of questions by what is asked, what the answer is, and how hard it is to find.

Each way of grouping puts every question into one group, so the groups add up to all questions.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import NamedTuple

from retune.tasks.qa.analyse.answer_kinds import (
    ANOTHER,
    KINDS,
    QUESTION_WORDS,
    answer_kind,
    candidates,
    form,
    question_word,
)
from retune.tasks.qa.analyse.sentences import sentence_spans, sentences_of
from retune.tasks.qa.questions.examples import Example

#: The group of a question that has no reference answer, or none with a place.
NO_ANSWER, NO_PLACE = "no answer", "no place"
_NOT_COUNTED = "not counted"

Tokens = Callable[[str], list[str]]


class Asked(NamedTuple):
    """A question, and how many windows its context takes."""

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
    group: Callable[[Asked], str]


def groupings(tokens: Tokens) -> list[Grouping]:
    """Return all ways of grouping.

    Args:
        tokens: the normalizer of the score, which counts and compares words.
    """
    return [
        Grouping(
            "question word",
            (*QUESTION_WORDS, ANOTHER),
            lambda asked: question_word(asked.example.question),
        ),
        Grouping("answer kind", (*KINDS, NO_ANSWER), _kind),
        _by_range("words of the answer", (1, 2, 4, 7), partial(_answer_words, tokens), NO_ANSWER),
        _by_range(
            "words of the context",
            (0, 50, 100, 150, 200, 300),
            lambda asked: len(tokens(asked.example.context)),
        ),
        _by_range("windows of the context", (0, 1, 2, 3), lambda asked: asked.windows),
        _by_range(
            "place of the answer, in percent of the context", (0, 25, 50, 75), _place, NO_PLACE
        ),
        _by_range(
            "words of the question in the answer's sentence, in percent",
            (0, 25, 50, 75),
            partial(_overlap, tokens),
            NO_PLACE,
        ),
        _by_range("candidates of the same form", (0, 1, 3, 6, 10), _competitors, _NOT_COUNTED),
        Grouping("answerable", ("yes", "no"), lambda a: "yes" if a.example.answers else "no"),
    ]


def _by_range(
    name: str, starts: Sequence[int], value: Callable[[Asked], int | None], without: str = ""
) -> Grouping:
    """Return a grouping by ranges of whole numbers; without a value the group is `without`."""
    bounds = [(low, following - 1) for low, following in pairwise(starts)]
    labels = [str(low) if low == high else f"{low} to {high}" for low, high in bounds]
    labels.append(f"{starts[-1]} or more")

    def group(asked: Asked) -> str:
        found = value(asked)
        if found is None:
            return without
        return labels[max(place for place, low in enumerate(starts) if found >= low)]

    return Grouping(name, [*labels, *([without] if without else [])], group)


def _kind(asked: Asked) -> str:
    example = asked.example
    if not example.answers:
        return NO_ANSWER
    return answer_kind(example.question, example.answers[0].text)


def _answer_words(tokens: Tokens, asked: Asked) -> int | None:
    lengths = [len(tokens(answer.text)) for answer in asked.example.answers]
    return max(1, min(lengths)) if lengths else None


def _place(asked: Asked) -> int | None:
    example = asked.example
    label = example.label
    return None if label is None else 100 * label.start // max(1, len(example.context))


def _overlap(tokens: Tokens, asked: Asked) -> int | None:
    """Return how many of the question's words, question words aside, are in the sentence."""
    example = asked.example
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


def _competitors(asked: Asked) -> int | None:
    """Return how many other spans of the context look like the answer."""
    label = asked.example.label
    if label is None or form(label.text) == "words":
        return None
    spans = candidates(asked.example.context, form(label.text))
    return sum(not (low < label.end and label.start < high) for low, high in spans)
