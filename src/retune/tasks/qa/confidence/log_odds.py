"""The log-odds of an answer among the candidates of its n-best list."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from retune.core.numerics import exp

#: Log-odds further out say no more about an answer, and would decide the fit of all others. An
#: answer that is no candidate has the lowest, and one without any other candidate the highest.
LOWEST, HIGHEST = -10.0, 10.0
_DIGITS = 6  # logits are float32; more digits would differ from machine to machine


def log_odds(line: Mapping[str, Any], answer: str) -> float:
    """Return log(p / (1 - p)) for the share p of the answer's text among all candidates.

    Candidates with the same text in several places are the same answer, so their shares are added.
    The share is that of exp(score), where the score of a span is the sum of its logits and that of
    the null answer the null score.

    Args:
        line: of nbest.jsonl.
        answer: the text that was chosen; "" is the null answer.
    """
    candidates: Sequence[Mapping[str, Any]] = line["candidates"]
    scores = np.array([_score(each, line["null_score"]) for each in candidates], np.float64)
    chosen = np.array([each["text"] == answer for each in candidates], np.bool_)
    if not chosen.any():
        return LOWEST
    if chosen.all():
        return HIGHEST
    shares = exp(scores - scores.max())
    one, others = math.fsum(shares[chosen]), math.fsum(shares[~chosen])
    if not (one and others):
        return HIGHEST if one else LOWEST
    return round(min(max(math.log(one) - math.log(others), LOWEST), HIGHEST), _DIGITS)


def _score(candidate: Mapping[str, Any], null_score: float) -> float:
    if candidate["start"] is None:
        return null_score
    return float(candidate["start_logit"] + candidate["end_logit"])
