"""Likelihoods of texts, and their perplexity; without torch."""

import math
from collections.abc import Iterable
from typing import NamedTuple

from retune.core.errors import RetuneError


class Likelihood(NamedTuple):
    """The log-probability of some tokens, and their number."""

    log_probability: float
    tokens: int


def perplexity(likelihoods: Iterable[Likelihood]) -> float:
    """The exponential of the mean negative log-probability of a token, over all tokens.

    Raises:
        RetuneError: there are no tokens.
    """
    every = list(likelihoods)
    count = sum(each.tokens for each in every)
    if count == 0:
        raise RetuneError("no token to take the perplexity of; give texts of two tokens or more")
    mean = -math.fsum(each.log_probability for each in every) / count
    return math.exp(mean) if mean < 700 else math.inf
