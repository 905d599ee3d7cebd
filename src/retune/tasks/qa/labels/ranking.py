"""Rank the labels of a data set by how probable it is that they are wrong.

No label of the data is known to be wrong. So a classifier learns what wrong labels look like from
labels that are made wrong on purpose. Labels of the data that look like those count less in the
next fit, so that the classifier does not learn them as right ones.
"""

from collections.abc import Iterator, Sequence
from random import Random
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from retune.core.errors import RetuneError
from retune.core.numerics import Doubles
from retune.ingest.subsample import draw
from retune.tasks.qa.labels.classifier import Table, fit_classifier
from retune.tasks.qa.labels.corruption import KINDS, Span, corrupted
from retune.tasks.qa.labels.evidence import Evidence, Labelled, Passage, frequent_words

#: A label is flagged from this probability on.
FLAGGED = 0.5
#: Into how many parts the articles are dealt. A part is ranked by what was learnt from the others.
_PARTS = 5
_COPIES = 3  # of each kind of wrong label that are made for each question
_FITS = 5  # after which the probabilities hardly change
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
        """Whether it is more probable that the label is wrong than that it is right."""
        return self.probability >= FLAGGED


class _Tables(NamedTuple):
    """The evidence about N labels, and about the wrong ones that are made of them."""

    own: Table
    wrong: Table
    made_of: NDArray[np.int64]  # the row of the label that each wrong one is made of


def ranked_labels(labels: Sequence[Labelled], seed: int = 0) -> list[Ranked]:
    """Return all labels, the most probably wrong one first.

    Args:
        labels: of one data set; a question may have several.
        seed: of the labels that are made wrong, and of the parts.

    Raises:
        RetuneError: all labels are of one passage, or none of them can be made wrong.
    """
    parts = [*_parts(labels, seed)]
    tables = _tables(labels, seed)
    log_ratios, probabilities = np.zeros(len(labels)), np.zeros(len(labels))
    for _ in range(_FITS):
        for inside in parts:
            log_ratios[inside] = _log_ratios(tables, inside, 1.0 - probabilities)
        probabilities = wrong_probabilities(log_ratios)
    order = sorted(range(len(labels)), key=lambda row: (-log_ratios[row], labels[row].id))
    return [Ranked(labels[row], round(float(probabilities[row]), _DIGITS)) for row in order]


def wrong_probabilities(log_ratios: Doubles) -> Doubles:
    """Return the probability (N,) that each label is wrong.

    The share of wrong labels is the one under which the labels are most likely (Saerens, Latinne &
    Decaestecker 2002: "Adjusting the outputs of a classifier to new a priori probabilities").

    Args:
        log_ratios: logarithms of how much more frequent the evidence is for wrong labels than for
            right ones (N,).
    """
    share, probabilities = _FIRST_SHARE, log_ratios
    for _ in range(_ROUNDS):
        log_odds = log_ratios + np.log(share) - np.log1p(-share)
        probabilities = np.exp(-np.logaddexp(0.0, -log_odds))
        before, share = share, min(max(float(probabilities.mean()), _LEAST), 1.0 - _LEAST)
        if abs(share - before) < _SMALLEST_STEP:
            break
    return probabilities


def _log_ratios(tables: _Tables, inside: Sequence[int], counted: Doubles) -> Doubles:
    """Return the log ratios of the labels `inside` a part, by a classifier of all other labels."""
    is_inside = np.zeros(len(counted), np.bool_)
    is_inside[inside] = True
    made = np.flatnonzero(~is_inside[tables.made_of])
    outside = np.flatnonzero(~is_inside)
    if not len(made):
        raise RetuneError("passages are too short to make a wrong label from a right one")
    classifier = fit_classifier(tables.own.rows(outside), counted[outside], tables.wrong.rows(made))
    return classifier.log_ratio(tables.own.rows(inside))


def _tables(labels: Sequence[Labelled], seed: int) -> _Tables:
    """Return the evidence about each label, and about the wrong ones that are made of it."""
    passages: dict[str, list[int]] = {}
    for row, each in enumerate(labels):
        passages.setdefault(each.context, []).append(row)
    frequent, known = frequent_words(passages), dict[str, int]()
    own, wrong, order, made_of = list[Table](), list[Table](), list[int](), list[int]()
    with tqdm(total=len(labels), desc="labels", unit=" labels") as bar:
        for rows in passages.values():
            passage = Passage([labels[row] for row in rows], frequent)
            found, made = list[Evidence](), list[Evidence]()
            for row in rows:
                label, others = labels[row], passage.others(labels[row])
                found.append(passage.evidence(label, label.label, others))
                spans = _made_wrong(passage, label, others, seed)
                made += [passage.evidence(label, span, others) for span in spans]
                made_of += [row] * len(spans)
            own.append(Table.of(found, known))
            wrong += [Table.of(made, known)] if made else []
            order += rows
            bar.update(len(rows))
    in_order = np.argsort(order)
    return _Tables(_joined(own).rows(in_order), _joined(wrong), np.array(made_of, np.int64))


def _joined(tables: Sequence[Table]) -> Table:
    if not tables:
        raise RetuneError("passages are too short to make a wrong label from a right one")
    return Table(*(np.concatenate(columns) for columns in zip(*tables, strict=True)))


def _made_wrong(
    passage: Passage, label: Labelled, others: Sequence[Labelled], seed: int
) -> list[Span]:
    """Return wrong labels in place of a label; none has the text of a label of its question."""
    right = {label.context[slice(*span)] for span in passage.labels_of(label)}
    generator = Random(f"{seed} {label.id} {label.label}")
    spans = [other.label for other in others]
    made = [
        corrupted(kind, passage.words, label.label, spans, generator)
        for kind in KINDS
        for _ in range(_COPIES)
    ]
    return [span for span in made if span and label.context[slice(*span)] not in right]


def _parts(labels: Sequence[Labelled], seed: int) -> Iterator[list[int]]:
    """Yield the rows of the labels in each part of the articles.

    A passage of two articles counts for the first, so that each passage is in one part. If all are
    of one article, the parts are of passages.

    Raises:
        RetuneError: there is one passage only.
    """
    title: dict[str, str] = {}
    for each in labels:
        title.setdefault(each.context, each.title or each.context)
    if len({*title.values()}) < 2:
        title = {context: context for context in title}
    names = sorted({*title.values()}, key=lambda name: draw(seed, name))
    if len(names) < 2:
        raise RetuneError("all questions are on one passage; ranking needs two or more")
    part = {name: place % _PARTS for place, name in enumerate(names)}
    for number in range(min(_PARTS, len(names))):
        yield [row for row, each in enumerate(labels) if part[title[each.context]] == number]
