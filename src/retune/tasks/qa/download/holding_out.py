"""Take a validation split out of train, by whole articles.

Questions about one article share its facts, so an article in both splits would let the training
see what chooses its epoch.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from retune.core.errors import RetuneError
from retune.ingest.subsample import draw
from retune.tasks.qa.questions.examples import Example

_SHOWN = 60  # characters of a context that stands for an article without a title


class Held(NamedTuple):
    """A train split in two parts.

    Attributes:
        train: the questions that stay, in their order.
        validation: those that were taken, in theirs.
        articles: what was taken: titles, and the first characters of contexts without one.
    """

    train: list[Example]
    validation: list[Example]
    articles: list[str]


def hold_out(examples: Sequence[Example], share: float, seed: int) -> Held:
    """Take whole articles out of `examples` until they have the `share` of all questions.

    An article has all questions of a title; without a title, all those of a context. Titles that
    share a context are one article. The articles are taken in the order of the SHA-256 of `seed`
    and title, so that the draw depends neither on their order nor on a library's random numbers.
    One always stays.

    Raises:
        RetuneError: there are fewer than two articles.
    """
    groups = articles(examples)
    if len(groups) < 2:
        raise RetuneError(
            f"train: {len(groups)} article, so that no validation split can be taken out of it "
            "(qa.download.validation_share): name a validation file, or set qa.train.keep: last "
            "and qa.download.validation_share: null"
        )
    order = sorted(groups, key=lambda name: draw(seed, name))
    taken: set[int] = set()
    names: list[str] = []
    for name in order[:-1]:
        if len(taken) >= share * len(examples):
            break
        taken.update(groups[name].rows)
        names += groups[name].names
    parts: tuple[list[Example], list[Example]] = [], []
    for row, example in enumerate(examples):
        parts[row in taken].append(example)
    return Held(*parts, names)


class Article(NamedTuple):
    """Rows of questions that go together, and the names of their articles."""

    rows: list[int]
    names: list[str]


def articles(examples: Sequence[Example]) -> dict[str, Article]:
    """Return the articles by their first name."""
    found: dict[str, Article] = {}
    first = _first_of_each_group((_name(example), example.context) for example in examples)
    for row, example in enumerate(examples):
        name = _name(example)
        article = found.setdefault(first[name], Article([], []))
        article.rows.append(row)
        if (shown := example.title or name[:_SHOWN]) not in article.names:
            article.names.append(shown)
    return found


def _name(example: Example) -> str:
    return example.title or example.context


def _first_of_each_group(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return, by name, the first of the names that are linked to it by shared contexts."""
    parent: dict[str, str] = {}
    owner: dict[str, str] = {}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for name, context in pairs:
        parent.setdefault(name, name)
        one, other = root(owner.setdefault(context, name)), root(name)
        parent[other] = one
    return {name: root(name) for name in parent}
