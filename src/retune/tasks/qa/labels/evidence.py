"""What speaks for and against a span as the label of a question: numbers, and words at its bounds.

The numbers come from models that have not seen the question. The words come from the passage alone:
a label that begins with "of" is unusual, whatever a model says.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from retune.core.unspaced_scripts import UNSPACED
from retune.tasks.qa.labels.corruption import Span, neighbours, words_of
from retune.tasks.qa.labels.likelihoods import Readings

#: How many of the most frequent words stand for themselves in the shape of a word.
_FREQUENT = 50
#: A word, a mark, or a character of a script without spaces.
_PIECE = re.compile(rf"{UNSPACED.pattern}|(?:(?!{UNSPACED.pattern})\w)+|[^\w\s]")
_PLACES = ("before", "first", "last", "behind")
_EDGE = ""  # of a context
_NEAR = 30  # characters outside a span, in which the word beside it is sought


@dataclass(frozen=True)
class Labelled:
    """A question with a label, and how models that have not seen it read its passage.

    Attributes:
        id: of the question.
        title: of its article.
        context: the passage.
        question: its text.
        label: the labelled span, in characters of the context.
        expected: the span that the models find most likely.
        readings: the models' likelihoods of spans.
    """

    id: str
    title: str
    context: str
    question: str
    label: Span
    expected: Span
    readings: Readings

    @cached_property
    def words(self) -> list[Span]:
        """The words of the context, in characters."""
        return words_of(self.context)


class Evidence(NamedTuple):
    """Numbers, always the same ones, and names of what there is at the bounds of the span."""

    numbers: tuple[float, ...]
    names: tuple[str, ...]


def evidence(
    question: Labelled, span: Span, others: Sequence[Labelled], frequent: frozenset[str]
) -> Evidence:
    """Return what speaks for and against a span as the label of a question.

    Args:
        question: its own label is not used.
        span: in its context.
        others: the other questions on its passage, with their labels.
        frequent: see `frequent_words`.
    """
    numbers = *_by_models(question, span), *_by_others(question, span, others)
    asked = set(_pieces(question.question.lower()))
    words = _pieces(question.context[slice(*span)].lower())
    repeated = sum(word in asked for word in words) / len(words)
    length = math.log(span[1] - span[0])
    names = tuple(_bounds(question, span, frequent))
    return Evidence((*numbers, length, repeated), names)


def frequent_words(contexts: Iterable[str]) -> frozenset[str]:
    """Return the most frequent words of all contexts, in small letters."""
    counts = Counter(word for context in contexts for word in _pieces(context.lower()))
    ordered = sorted(counts, key=lambda word: (-counts[word], word))
    return frozenset(ordered[:_FREQUENT])


def _by_models(question: Labelled, span: Span) -> tuple[float, ...]:
    """How likely the span is, beside the expected one and those a few words away."""
    found = question.readings.likelihood(span)
    expected = question.readings.likelihood(question.expected).total
    margin = expected - found.total
    overlap = _overlap(span, question.expected)
    near = [
        question.readings.likelihood(each).total - found.total
        for each in neighbours(question.words, span)
    ]
    mean = math.fsum(near) / max(1, len(near))
    far = margin if not overlap else 0.0
    return found.start, found.end, expected, overlap, far, max(near, default=0.0), mean


def _by_others(question: Labelled, span: Span, others: Sequence[Labelled]) -> tuple[float, ...]:
    """How much more likely the span is as an answer to this question than to the others.

    A weak model finds some spans likely whatever is asked, so the comparison says more than the
    likelihood. Two questions seldom have the same answer.
    """
    if not others:
        return 0.0, 0.0, 0.0
    elsewhere = [other.readings.likelihood(span).total for other in others]
    lift = question.readings.likelihood(span).total - math.fsum(elsewhere) / len(elsewhere)
    same = any(other.label == span for other in others)
    touched = any(_overlap(other.label, span) for other in others)
    return lift, float(same), float(touched)


def _overlap(one: Span, other: Span) -> float:
    """Return the F1 of two spans in characters: 1 for the same span, 0 if they do not touch."""
    shared = min(one[1], other[1]) - max(one[0], other[0])
    return 2.0 * max(0, shared) / (one[1] - one[0] + other[1] - other[0])


def _bounds(question: Labelled, span: Span, frequent: frozenset[str]) -> Iterable[str]:
    """Yield the words at both ends of the span, outside and inside, and the pairs of their shapes.

    The edge of the context is a word of its own.
    """
    context = question.context
    outside = context[max(0, span[0] - _NEAR) : span[0]], context[span[1] : span[1] + _NEAR]
    inside = [_EDGE, *_pieces(context[slice(*span)]), _EDGE]
    before, behind = [_EDGE, *_pieces(outside[0])][-1], [*_pieces(outside[1]), _EDGE][0]
    first, last = inside[1], inside[-2]
    for place, word in zip(_PLACES, (before, first, last, behind), strict=True):
        yield f"{place} {word.lower()}"
    shapes = [_shape(word, frequent) for word in (before, first, last, behind)]
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
