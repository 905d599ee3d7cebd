"""The figures of the SQuAD scripts, by the names that `evaluate` gives them.

They need no `evaluate`, whose import takes seconds.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retune.tasks.qa.score.score import Scores, groups


def figures_with_thresholds(
    scores: Scores,
    texts: Mapping[str, str],
    probabilities: Mapping[str, float],
    threshold: float = 1.0,
) -> dict[str, float]:
    """Return the figures of SQuAD 2.0 for predictions that say how likely no answer is.

    Args:
        scores: of the answers as they are.
        texts: the answers by question id, in the order in which ties are broken.
        probabilities: that a question has no answer, by the same ids.
        threshold: a higher probability than this counts as the answer "".

    Returns:
        `figures`, the best exact match and F1 that a threshold gives, and those thresholds.
    """
    place = {id_: number for number, id_ in enumerate(scores.ids)}
    order = np.array([place[id_] for id_ in texts])
    shares = np.array([probabilities[id_] for id_ in texts], np.float64)
    answered = np.array([bool(text) for text in texts.values()])
    left = left_unanswered(scores, [id_ for id_ in texts if probabilities[id_] > threshold])
    found = figures(left, squad_v2=True)
    for name, values in (("exact_match", scores.exact), ("f1", scores.f1s)):
        best = best_threshold(values[order], scores.has_answer[order], answered, shares)
        found[f"best_{name}"], found[f"best_{name}_threshold"] = best
    return found


def best_threshold(
    scores: NDArray[Any],
    has_answer: NDArray[np.bool_],
    answered: NDArray[np.bool_],
    probabilities: NDArray[np.float64],
) -> tuple[float, float]:
    """Return the best threshold on the probability of no answer, and its score.

    This follows the SQuAD 2.0 script. First every question is left unanswered. Then questions are
    answered one by one in the order of their probabilities; ties keep the given order. If it is
    best to leave all unanswered, the threshold is 0.

    Args:
        scores: shape (N,), of the answers, from 0 to 1.
        has_answer: shape (N,), whether the question has a reference answer.
        answered: shape (N,), whether the answer is other than "".
        probabilities: shape (N,), that the question has no answer.

    Returns:
        The score in percent of all N questions, and the threshold.
    """
    order = np.argsort(probabilities, kind="stable")
    gains = np.where(has_answer, scores, np.where(answered, -1.0, 0.0))[order]
    sums = np.cumsum([np.count_nonzero(~has_answer), *gains])
    best = int(np.argmax(sums))
    threshold = float(probabilities[order[best - 1]]) if best else 0.0
    return 100.0 * float(sums[best]) / len(scores), threshold


def left_unanswered(scores: Scores, ids: Iterable[str]) -> Scores:
    """Return the scores if these questions are left unanswered."""
    unanswered = np.isin(np.array(scores.ids), list(ids))
    right = ~scores.has_answer
    return dataclasses.replace(
        scores,
        exact=np.where(unanswered, right, scores.exact),
        f1s=np.where(unanswered, right, scores.f1s),
    )


def figures(scores: Scores, *, squad_v2: bool) -> dict[str, float]:
    """Return exact match, F1 and the number of questions, for SQuAD 2.0 also by group."""
    found: dict[str, float] = {}
    for name, group in groups(scores, squad_v2=squad_v2).items():
        prefix = "" if name == "all" else f"{name}_"
        found[f"{prefix}exact_match"] = group.exact_match
        found[f"{prefix}f1"] = group.f1
        found[f"{prefix}total"] = len(group.ids)
    return found
