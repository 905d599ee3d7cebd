"""Figures as means of one score for each text, so that they can be compared text by text.

A figure is the sum of the parts of all texts over the sum of their wholes. For a mean each whole is
1, and the score of a text is its part. Otherwise the scores are the linear terms of the figure
around its value (Taylor linearization; Cochran, Sampling Techniques, 1977, section 6.3): their mean
is the figure, and varies with the choice of texts as the figure does.
"""

import math
from collections.abc import Sequence

import numpy as np

from retune.core.numerics import Doubles, exp
from retune.tasks.language_model.score.score import Share


def text_scores(rows: Sequence[Share]) -> Doubles:
    """Return scores of N texts (N,), whose mean is the sum of parts over the sum of wholes.

    They are 0 if the wholes are.
    """
    parts, wholes = np.array(rows, np.float64).T
    mean = math.fsum(wholes) / len(rows)
    if not mean:
        return np.zeros(len(rows))
    ratio = math.fsum(parts) / math.fsum(wholes)
    return np.asarray(parts / mean + ratio * (1 - wholes / mean), np.float64)


def perplexity_scores(rows: Sequence[Share]) -> Doubles:
    """Return scores of N texts (N,), whose mean is the perplexity, from log-probabilities."""
    scores = text_scores(rows)
    mean = math.fsum(scores) / len(scores)
    perplexity = 1.0 / float(exp(np.array([mean]))[0])
    return np.asarray(perplexity * (1 + mean - scores), np.float64)
