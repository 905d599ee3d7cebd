"""Overlap of n-grams between texts, and repetition within them; a text is a sequence of tokens.

`rouge_n` is ROUGE-N (Lin 2004) for one reference, without a stemmer. Figures are fractions, 0 if
there is no n-gram. `retune.tasks.language_model.score.rouge_words` has the tokenizers. Checked
against the package rouge-score (tests/reference/make_rouge_goldens.py).
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple

from retune.core.errors import RetuneError


class Rouge(NamedTuple):
    """Clipped overlap, as a share of the prediction's n-grams and of the reference's."""

    precision: float
    recall: float
    f1: float


def ngrams(tokens: Sequence[Hashable], n: int) -> Counter[tuple[Hashable, ...]]:
    """Count each run of `n` tokens.

    Raises:
        RetuneError: n is below 1.
    """
    if n < 1:
        raise RetuneError(f"n: {n} tokens make no n-gram; give 1 or more")
    return Counter(zip(*(tokens[first:] for first in range(n)), strict=False))


def rouge_n(reference: Sequence[Hashable], prediction: Sequence[Hashable], n: int) -> Rouge:
    """Overlap of n-grams; each counts at most as often as the other text has it."""
    expected, predicted = ngrams(reference, n), ngrams(prediction, n)
    common = (expected & predicted).total()
    precision, recall = _share(common, predicted.total()), _share(common, expected.total())
    return Rouge(precision, recall, _share(2 * precision * recall, precision + recall))


def ngram_hits(
    reference: Sequence[Hashable], prediction: Sequence[Hashable], longest: int
) -> float:
    """The share of the reference's n-grams, for n from 1 to `longest`, that the prediction has.

    Every occurrence in the reference is a hit, even if the prediction has the n-gram only once. The
    notebook calls this ROUGE-3. In ROUGE, each n-gram of the prediction counts for one hit.
    """
    counts = [(ngrams(reference, n), ngrams(prediction, n)) for n in range(1, longest + 1)]
    hits = sum(times for there, found in counts for each, times in there.items() if each in found)
    return _share(hits, sum(there.total() for there, _ in counts))


def distinct_n(texts: Iterable[Sequence[Hashable]], n: int) -> float:
    """The share of different n-grams among those of all texts (Li et al. 2016)."""
    counts: Counter[tuple[Hashable, ...]] = Counter()
    for text in texts:
        counts.update(ngrams(text, n))
    return _share(len(counts), counts.total())


def repeated(text: Sequence[Hashable], n: int) -> tuple[int, int]:
    """Count the n-grams that repeat one of their text (Welleck et al. 2020), and all of them."""
    counts = ngrams(text, n)
    return counts.total() - len(counts), counts.total()


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
