"""Parts of a train split, by whole articles, for learning curves."""

from collections.abc import Sequence
from itertools import accumulate

from retune.ingest.subsample import draw
from retune.tasks.qa.download.holding_out import articles
from retune.tasks.qa.questions.examples import Example


def train_part(examples: Sequence[Example], share: float, number: int) -> list[Example]:
    """Return the questions about articles that hold about `share` of all questions.

    The articles are the first ones, at least one, in the order of the SHA-256 of `number` and
    title. So a smaller share of the same number is a part of a larger one, and the order of the
    files does not matter. The questions stay in their order.
    """
    found = articles(examples)
    order = sorted(found, key=lambda name: draw(number, name))
    sums = [0, *accumulate(len(found[name].rows) for name in order)]
    wanted = share * len(examples)
    count = min(range(1, len(sums)), key=lambda n: (abs(sums[n] - wanted), n), default=0)
    kept = {row for name in order[:count] for row in found[name].rows}
    return [example for row, example in enumerate(examples) if row in kept]
