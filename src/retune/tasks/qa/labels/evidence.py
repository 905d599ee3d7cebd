"""What speaks for and against a span as the label of a question: numbers, and words at its bounds.

The numbers come from models that have not seen the question. The words come from the passage alone:
a label that begins with "of" is unusual, whatever a model says.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from retune.core.unspaced_scripts import UNSPACED
from retune.tasks.qa.labels.corruption import Span, neighbours, words_of
from retune.tasks.qa.labels.likelihoods import Likelihood, Readings

#: How many of the most frequent words stand for themselves in the shape of a word.
_FREQUENT = 50
#: A word, a mark, or a character of a script without spaces.
_PIECE = re.compile(rf"{UNSPACED.pattern}|(?:(?!{UNSPACED.pattern})\w)+|[^\w\s]")
_PLACES = ("before", "first", "last", "behind")
_EDGE = ""  # of a context
_NEAR = 30  # characters outside a span, in which the word beside it is sought
_MOST_OTHERS = 20  # questions that a question is compared with; more would tell little


@dataclass(frozen=True, eq=False)
class Labelled:
    """A question with a label, and how models that have not seen it read its passage.

    Attributes:
        row: of the question among all; a question with several labels has one row.
        id: of the question.
        title: of its article.
        context: the passage.
        question: its text.
        label: the labelled span, in characters of the context.
        expected: the span that the models find most likely.
        readings: the models' likelihoods of spans.
    """

    row: int
    id: str
    title: str
    context: str
    question: str
    label: Span
    expected: Span
    readings: Readings


class Evidence(NamedTuple):
    """Numbers, always the same ones, and names of what there is at the bounds of the span."""

    numbers: tuple[float, ...]
    names: tuple[str, ...]


class Passage:
    """The labels of one passage, from which the evidence about each of them comes."""

    def __init__(self, labels: Sequence[Labelled], frequent: frozenset[str]) -> None:
        """Take all labels of the passage; `frequent` is what `frequent_words` returns."""
        self.labels = labels
        self.words = words_of(labels[0].context)
        self._frequent = frequent
        self._likelihoods: dict[tuple[int, Span], Likelihood] = {}

    def others(self, label: Labelled) -> list[Labelled]:
        """Return the labels of other questions; copies of a question are not others.

        Only some of very many questions count, those behind this one in the order of their rows.
        """
        found: dict[int, list[Labelled]] = {}
        for each in self.labels:
            if each.question != label.question:
                found.setdefault(each.row, []).append(each)
        rows = sorted(found, key=lambda row: (row < label.row, row))[:_MOST_OTHERS]
        return [each for row in rows for each in found[row]]

    def labels_of(self, label: Labelled) -> list[Span]:
        """Return all labels of a question and its copies."""
        return [each.label for each in self.labels if each.question == label.question]

    def evidence(self, label: Labelled, span: Span, others: Sequence[Labelled]) -> Evidence:
        """Return what speaks for and against a span as the label of a question.

        Args:
            label: of the question. Where it is does not count.
            span: in the passage.
            others: see `others`.
        """
        text = label.context[slice(*span)]
        asked, words = {*_pieces(label.question.lower())}, _pieces(text.lower())
        repeated = sum(word in asked for word in words) / max(1, len(words))
        length = math.log1p(len(text))
        numbers = *self._by_models(label, span), *self._by_others(label, span, others)
        names = tuple(_bounds(label.context, span, self._frequent))
        return Evidence((*numbers, length, repeated), names)

    def _by_models(self, label: Labelled, span: Span) -> tuple[float, ...]:
        """How likely the span is, beside the expected one and those a few words away."""
        found = self._likelihood(label, span)
        expected = self._likelihood(label, label.expected).total
        overlap = _overlap(span, label.expected)
        near = [
            self._likelihood(label, each).total - found.total
            for each in neighbours(self.words, span)
        ]
        mean = math.fsum(near) / max(1, len(near))
        far = expected - found.total if not overlap else 0.0
        return found.start, found.end, expected, overlap, far, max(near, default=0.0), mean

    def _by_others(
        self, label: Labelled, span: Span, others: Sequence[Labelled]
    ) -> tuple[float, float, float]:
        """How much more likely the span is as an answer to this question than to the others.

        A weak model finds some spans likely whatever is asked, so the comparison says more than the
        likelihood. Two questions seldom have the same answer.
        """
        if not others:
            return 0.0, 0.0, 0.0
        questions = {other.row: other for other in others}
        elsewhere = [self._likelihood(other, span).total for other in questions.values()]
        lift = self._likelihood(label, span).total - math.fsum(elsewhere) / len(elsewhere)
        same = any(other.label == span for other in others)
        touched = any(_overlap(other.label, span) for other in others)
        return lift, float(same), float(touched)

    def _likelihood(self, label: Labelled, span: Span) -> Likelihood:
        key = label.row, span
        if key not in self._likelihoods:
            self._likelihoods[key] = label.readings.likelihood(span)
        return self._likelihoods[key]


def frequent_words(contexts: Iterable[str]) -> frozenset[str]:
    """Return the most frequent words of all contexts, in small letters."""
    counts = Counter(word for context in contexts for word in _pieces(context.lower()))
    ordered = sorted(counts, key=lambda word: (-counts[word], word))
    return frozenset(ordered[:_FREQUENT])


def _overlap(one: Span, other: Span) -> float:
    """Return the F1 of two spans in characters: 1 for the same span, 0 if they do not touch."""
    shared = min(one[1], other[1]) - max(one[0], other[0])
    return 2.0 * max(0, shared) / max(1, one[1] - one[0] + other[1] - other[0])


def _bounds(context: str, span: Span, frequent: frozenset[str]) -> Iterator[str]:
    """Yield the words at both ends of the span, outside and inside, and the pairs of their shapes.

    The edge of the context is a word of its own.
    """
    outside = context[max(0, span[0] - _NEAR) : span[0]], context[span[1] : span[1] + _NEAR]
    inside = _pieces(context[slice(*span)]) or [_EDGE]
    before, behind = [_EDGE, *_pieces(outside[0])][-1], [*_pieces(outside[1]), _EDGE][0]
    words = before, inside[0], inside[-1], behind
    for place, word in zip(_PLACES, words, strict=True):
        yield f"{place} {word.lower()}"
    shapes = [_shape(word, frequent) for word in words]
    yield f"starts {shapes[0]} {shapes[1]}"
    yield f"ends {shapes[2]} {shapes[3]}"


def _shape(word: str, frequent: frozenset[str]) -> str:
    """A frequent word stands for itself; another one for all that look like it."""
    if word.lower() in frequent or word == _EDGE:
        return word.lower()
    if word[0].isdigit():
        return "digits"
    if not word[0].isalpha():
        return "mark"
    return "capital" if word[0].isupper() else "letters"


def _pieces(text: str) -> list[str]:
    return _PIECE.findall(text)
