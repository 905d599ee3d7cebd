"""Parts of a train split, by whole articles, for learning curves."""

from collections.abc import Sequence
from itertools import accumulate

from retune.ingest.subsample import draw
from retune.tasks.qa.download.holding_out import articles
from retune.tasks.qa.questions.examples import Example


def train_part(examples: Sequence[Example], share: float, number: int) -> list[Example]:
    """Return the articles that hold about `share` of the questions, at least one.

    They are the first ones in the order of the SHA-256 of `number` and title, so that a smaller
    share of the same number is a part of a larger one, and that the order of the files does not
    matter. Their questions stay in their order.
    """
    found = articles(examples)
    order = sorted(found, key=lambda name: draw(number, name))
    sums = [0, *accumulate(len(found[name].rows) for name in order)]
    wanted = share * len(examples)
    count = min(range(1, len(sums)), key=lambda n: (abs(sums[n] - wanted), n))
    kept = {row for name in order[:count] for row in found[name].rows}
    return [example for row, example in enumerate(examples) if row in kept]
