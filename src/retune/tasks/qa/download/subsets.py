"""Parts of a train split and folds of all questions, by whole articles.

Both take the articles in the order of the SHA-256 of a number and their names, so that a part
depends neither on the order of the files nor on a library's random numbers.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate

from retune.core.errors import RetuneError
from retune.ingest.subsample import draw
from retune.tasks.qa.download.holding_out import Article, articles
from retune.tasks.qa.questions.examples import Example

#: The articles of one split, by name.
Articles = Mapping[str, Article]


def train_part(examples: Sequence[Example], share: float, number: int) -> list[Example]:
    """Return the articles that hold about `share` of the questions, at least one.

    They are the first ones in the order that `number` draws, so that a smaller share of the same
    number is a part of a larger one. Their questions stay in their order.
    """
    found = articles(examples)
    order = _drawn(found, number)
    sums = [0, *accumulate(len(found[name].rows) for name in order)]
    wanted = share * len(examples)
    count = min(range(1, len(sums)), key=lambda n: (abs(sums[n] - wanted), n))
    kept = {row for name in order[:count] for row in found[name].rows}
    return [example for row, example in enumerate(examples) if row in kept]


def in_fold(examples: Sequence[Example], fold: int, count: int, number: int) -> list[bool]:
    """Return, for each question, whether its article belongs to the fold.

    Every article is in one of `count` folds. The largest ones are dealt first, each to the fold
    with the fewest questions; articles of one size in the order that `number` draws.

    Raises:
        RetuneError: there are fewer articles than folds.
    """
    found = articles(examples)
    if len(found) < count:
        raise RetuneError(
            f"{len(found)} articles cannot make {count} folds; set qa.download.fold to fewer "
            "folds, or null"
        )
    held = [0] * count
    place: dict[int, int] = {}
    for name in sorted(_drawn(found, number), key=lambda name: -len(found[name].rows)):
        least = held.index(min(held))
        held[least] += len(found[name].rows)
        place |= dict.fromkeys(found[name].rows, least)
    return [place[row] == fold - 1 for row in range(len(examples))]


def _drawn(found: Articles, number: int) -> list[str]:
    return sorted(found, key=lambda name: draw(number, name))
