"""The null threshold of SQuAD 2.0: how far the null score must be above the best span."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from retune.core.numerics import Doubles
from retune.tasks.qa.score.question_scores import QuestionScore
from retune.tasks.qa.score.score import best_scores

_DIGITS = 6


class BestSpan(NamedTuple):
    """The best span of a question, and how much higher the null score is."""

    text: str
    margin: float


def best_spans(lines: Iterable[Mapping[str, Any]]) -> list[BestSpan]:
    """Return the best span of each line of nbest.jsonl; "" if a question has none."""
    return [_best_span(line) for line in lines]


def _best_span(line: Mapping[str, Any]) -> BestSpan:
    spans = [each for each in line["candidates"] if each["start"] is not None]
    if not spans:
        return BestSpan("", math.inf)
    best = spans[0]
    return BestSpan(best["text"], line["null_score"] - (best["start_logit"] + best["end_logit"]))


def span_f1s(
    scores: Sequence[QuestionScore], spans: Sequence[BestSpan], normalizer: str
) -> tuple[Doubles, Doubles]:
    """Return the F1 (N,) of the best spans, and that of giving no answer."""

    def f1(text: str, score: QuestionScore) -> float:
        return best_scores(text, score.references, squad_v2=True, normalizer=normalizer)[1]

    pairs = [
        (f1(span.text, score), f1("", score)) for score, span in zip(scores, spans, strict=True)
    ]
    columns = np.array(pairs, np.float64).reshape(-1, 2)
    return columns[:, 0], columns[:, 1]


def fit_null_threshold(spans: Doubles, nulls: Doubles, margins: Doubles) -> float | None:
    """Return the threshold with the best mean F1; of equally good ones, the one nearest to 0.

    Args:
        spans: F1 of the best span of each of N questions.
        nulls: F1 of no answer.
        margins: null score less the score of the best span; a span is the answer if its margin is
            at most the threshold.

    Returns:
        The threshold; None if all margins are equal, because then none separates the questions.
    """
    finite = np.unique(margins[np.isfinite(margins)])
    if len(finite) < 2:
        return None
    between = (finite[1:] + finite[:-1]) / 2
    thresholds = np.concatenate([[finite[0] - 1.0], between, [finite[-1] + 1.0, 0.0]])
    thresholds = thresholds.round(_DIGITS)
    order = np.argsort(margins, kind="stable")
    gained = np.concatenate([[0.0], np.cumsum((spans - nulls)[order])]).round(_DIGITS)
    totals = gained[np.searchsorted(margins[order], thresholds, side="right")]
    best = thresholds[totals == totals.max()]
    return float(best[np.argmin(np.abs(best))])


def mean_f1(spans: Doubles, nulls: Doubles, margins: Doubles, threshold: float) -> float:
    """Return the mean F1 in percent with a threshold; see `fit_null_threshold`."""
    chosen = np.where(margins > threshold, nulls, spans)
    return 100.0 * math.fsum(chosen) / len(chosen)
