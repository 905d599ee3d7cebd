"""Tests of a difference that need no distribution: sign flips, and McNemar's."""

import itertools
import math
from fractions import Fraction

import numpy as np

from retune.core.numerics import Doubles
from retune.stats.bootstrap import Ints, exact_product

_DRAWN = 2**18  # signs drawn at a time: bounds memory, changes no output


def sign_flip_p_values(differences: Ints, count: int, seed: int) -> Doubles:
    """Return two-sided p-values of sums of differences, by flips of the signs of clusters.

    If two systems are equally good, the difference of a cluster could have had the other sign just
    as well (Fisher 1935). The p-value is the share of flips whose sum is as far from 0 as the sum
    seen. It counts all 2^G flips if there are no more than `count`; otherwise `count` random ones,
    and the flip that was seen (Davison & Hinkley 1997).

    Args:
        differences: sums of the differences in G clusters, shape (G, K) for K comparisons.
        count: of random flips.
        seed: of the flips, the same for all comparisons.
    """
    clusters = len(differences)
    seen = np.abs(differences.sum(axis=0))
    if 2**clusters <= count:
        every = itertools.product((1, -1), repeat=clusters)
        signs = np.array([*every], np.int64).reshape(2**clusters, clusters)
        reached = (np.abs(exact_product(signs, differences)) >= seen).sum(axis=0)
        return np.asarray(reached / len(signs))
    generator = np.random.default_rng(seed)
    width = 8 * math.ceil(clusters / 64)  # bytes a flip, a multiple of what the generator draws
    rows, reached = max(1, _DRAWN // clusters), np.ones(differences.shape[1], np.int64)
    for done in range(0, count, rows):
        drawn = np.frombuffer(generator.bytes(width * min(rows, count - done)), np.uint8)
        flipped = np.unpackbits(drawn.reshape(-1, width), axis=1)[:, :clusters]
        sums = differences.sum(axis=0) - 2 * exact_product(flipped, differences)
        reached += (np.abs(sums) >= seen).sum(axis=0)
    return np.asarray(reached / (count + 1))


def mcnemar_p_value(won: int, lost: int) -> float:
    """Return the exact two-sided p-value of McNemar's test (McNemar 1947).

    It is the sign test of the questions that only one of two systems answers correctly. It treats
    them as drawn one by one, so it is too small if questions share passages.
    """
    count, fewer = won + lost, min(won, lost)
    below = sum(math.comb(count, number) for number in range(fewer + 1))
    return float(min(Fraction(1), Fraction(2 * below, 2**count)))
