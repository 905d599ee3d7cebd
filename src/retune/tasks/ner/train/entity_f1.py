"""Precision, recall and F1 of whole entities, counted like seqeval (in its default mode).

An entity is found if its type, its first and its last token are. Predicted tags need not be IOB2:
an `I-` that continues nothing begins an entity.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple


class Entity(NamedTuple):
    """An entity of a sentence: its type, its first token and the one after its last."""

    type: str
    begin: int
    end: int


class Score(NamedTuple):
    """Figures in percent, and the number of reference entities."""

    precision: float
    recall: float
    f1: float
    support: int


class EntityScores(NamedTuple):
    """The score over all entities (micro average), and that of each type, by name."""

    overall: Score
    by_type: dict[str, Score]


def entities(tags: Sequence[str]) -> Iterator[Entity]:
    """The entities that the tags of a sentence mark."""
    begin, inside = 0, "O"
    for place, tag in enumerate([*tags, "O"]):
        if inside != "O" and not (tag.startswith("I") and tag[2:] == inside[2:]):
            yield Entity(inside[2:], begin, place)
            inside = "O"
        if inside == "O" and tag != "O":
            begin, inside = place, tag


def entity_scores(pairs: Iterable[tuple[Sequence[str], Sequence[str]]]) -> EntityScores:
    """The scores of sentences, each given by its reference tags and its predicted tags.

    A figure with denominator 0 is 0. A type that is only predicted has a score, too.
    """
    expected: Counter[str] = Counter()
    predicted: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for reference, prediction in pairs:
        there, found = set(entities(reference)), set(entities(prediction))
        expected.update(entity.type for entity in there)
        predicted.update(entity.type for entity in found)
        right.update(entity.type for entity in there & found)
    types = sorted(expected | predicted)
    by_type = {name: _score(right[name], predicted[name], expected[name]) for name in types}
    overall = _score(right.total(), predicted.total(), expected.total())
    return EntityScores(overall, by_type)


def _score(right: int, predicted: int, expected: int) -> Score:
    precision = right / predicted if predicted else 0.0
    recall = right / expected if expected else 0.0
    both = precision + recall
    f1 = 2 * precision * recall / both if both else 0.0
    return Score(100 * precision, 100 * recall, 100 * f1, expected)
