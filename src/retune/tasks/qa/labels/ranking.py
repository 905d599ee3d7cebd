"""Rank the labels of a data set by how probable it is that they are wrong.

No label of the data is known to be wrong. So a classifier learns what wrong labels look like from
labels that were made wrong on purpose, and the share of wrong ones in the data is estimated from
how often its labels look like those.
"""

from collections.abc import Iterator, Sequence
from random import Random
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from retune.core.errors import RetuneError
from retune.core.numerics import Doubles
from retune.ingest.subsample import draw
from retune.tasks.qa.labels.classifier import fit_classifier
from retune.tasks.qa.labels.corruption import KINDS, Span, corrupted
from retune.tasks.qa.labels.evidence import Evidence, Labelled, evidence, frequent_words

#: A label is flagged from this probability on.
FLAGGED = 0.5
#: Into how many parts the articles are dealt. A part is ranked by what was learnt from the others.
_PARTS = 5
_COPIES = 3  # of each kind of wrong label that are made for each question
_FIRST_SHARE = 0.05  # where the estimate of the share of wrong labels begins
_ROUNDS, _SMALLEST_STEP = 1000, 1e-9
_LEAST = 1e-6  # share of wrong labels, and of right ones
_DIGITS = 6


class Ranked(NamedTuple):
    """A label and the probability, from 0 to 1, that it is wrong."""

    labelled: Labelled
    probability: float

    @property
    def is_flagged(self) -> bool:
        """Whether the label is rather wrong than right."""
        return self.probability >= FLAGGED


def ranked_labels(labels: Sequence[Labelled], seed: int = 0) -> list[Ranked]:
    """Return all labels, the most probably wrong one first.

    Args:
        labels: of one data set; a question may have several.
        seed: of the labels that are made wrong, and of the parts.

    Raises:
        RetuneError: all labels are of one article, or none of them can be made wrong.
    """
    own, wrong = _evidence(labels, seed)
    log_ratios = np.empty(len(labels))
    for inside, outside in _parts(labels, seed):
        made = [each for row in outside for each in wrong[row]]
        if not made:
            raise RetuneError("passages are too short to make a wrong label from a right one")
        classifier = fit_classifier([own[row] for row in outside], made)
        log_ratios[inside] = classifier.log_ratio([own[row] for row in inside])
    order = sorted(range(len(labels)), key=lambda row: (-log_ratios[row], labels[row].id))
    probabilities = wrong_probabilities(log_ratios).round(_DIGITS).tolist()
    return [Ranked(labels[row], probabilities[row]) for row in order]


def wrong_probabilities(log_ratios: Doubles) -> Doubles:
    """Return the probability (N,) that each label is wrong.

    The share of wrong labels is the one under which the labels are most likely (Saerens, Latinne &
    Decaestecker 2002: "Adjusting the outputs of a classifier to new a priori probabilities").

    Args:
        log_ratios: logarithms of how much more frequent the evidence is for wrong labels (N,).
    """
    share, probabilities = _FIRST_SHARE, log_ratios
    for _ in range(_ROUNDS):
        log_odds = log_ratios + np.log(share) - np.log1p(-share)
        probabilities = np.exp(-np.logaddexp(0.0, -log_odds))
        before, share = share, min(max(float(probabilities.mean()), _LEAST), 1.0 - _LEAST)
        if abs(share - before) < _SMALLEST_STEP:
            break
    return probabilities


def _evidence(labels: Sequence[Labelled], seed: int) -> tuple[list[Evidence], list[list[Evidence]]]:
    """Return the evidence about each label, and about the wrong ones that are made of it."""
    frequent = frequent_words(dict.fromkeys(each.context for each in labels))
    passages: dict[str, dict[str, Labelled]] = {}
    for each in labels:
        passages.setdefault(each.context, {}).setdefault(each.id, each)
    own, wrong = [], []
    for each in tqdm(labels, desc="labels", unit=" labels"):
        beside = sorted(passages[each.context].items())  # whatever the order of the data
        others = [other for id_, other in beside if id_ != each.id]
        made = _made_wrong(each, [other.label for other in others], seed)
        own.append(evidence(each, each.label, others, frequent))
        wrong.append([evidence(each, span, others, frequent) for span in made])
    return own, wrong


def _made_wrong(label: Labelled, others: Sequence[Span], seed: int) -> list[Span]:
    generator = Random(f"{seed} {label.id} {label.label}")
    made = [
        corrupted(kind, label.words, label.label, others, generator)
        for kind in KINDS
        for _ in range(_COPIES)
    ]
    return [span for span in made if span]


def _parts(labels: Sequence[Labelled], seed: int) -> Iterator[tuple[list[int], list[int]]]:
    """Yield the rows of the labels in each part of the articles, and all other rows.

    Raises:
        RetuneError: there is one article only.
    """
    articles = sorted({_article(each) for each in labels}, key=lambda name: draw(seed, name))
    if len(articles) < 2:
        raise RetuneError("all questions are of one article; ranking needs two or more")
    part = {name: place % _PARTS for place, name in enumerate(articles)}
    parts = [part[_article(each)] for each in labels]
    for number in range(min(_PARTS, len(articles))):
        inside = [row for row, each in enumerate(parts) if each == number]
        yield inside, [row for row, each in enumerate(parts) if each != number]


def _article(label: Labelled) -> str:
    return label.title or label.context
