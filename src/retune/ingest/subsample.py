"""Limits: how much of each split a download stage keeps."""

import hashlib
import re
from typing import Protocol, TypeVar

from pydantic.dataclasses import dataclass

from retune.core.params import STRICT, Seed

_LIMIT = re.compile(r"(sample )?([0-9]+(?:\.[0-9]+)?)(%?)", re.ASCII)
_FIRST = 1  # number of a sample


@dataclass(frozen=True, config=STRICT)
class LimitParams:
    """How much of each split is kept, in any task.

    A limit is null for all rows, `1000` or `"1%"` for the first of them in file
    order, `"sample 1000"` or `"sample 1%"` for a sample drawn by `sample_seed`, kept in
    file order. Percentages are rounded to the nearest row.
    """

    train_limit: int | str | None
    validation_limit: int | str | None
    sample_seed: Seed

    def __post_init__(self) -> None:
        for split, limit in self.limits.items():
            check_limit(f"{split}_limit", limit)

    @property
    def limits(self) -> dict[str, int | str | None]:
        """The limit of each split."""
        return {"train": self.train_limit, "validation": self.validation_limit}

    def sample_number(self, split: str) -> int:
        """Return which sample of a split is drawn; there is one, unless a task draws others."""
        return _FIRST


class Named(Protocol):
    """A row that has an id."""

    @property
    def id(self) -> str:
        """The same for each run on the same files."""


_Item = TypeVar("_Item", bound=Named)


def limited(
    examples: list[_Item], limit: int | str | None, seed: int, sample_number: int = _FIRST
) -> list[_Item]:
    """Return the part of `examples` that a limit of `LimitParams` keeps, in their order.

    A sample has the examples with the lowest SHA-256 of seed and id, so that it depends neither on
    their order nor on the random numbers of a library. A sample of another number than 1 is
    drawn in another order.
    """
    if limit is None:
        return examples
    sample, number, percent = _parts(limit)
    size = round(len(examples) * number / 100) if percent else int(number)
    if not sample:
        return examples[:size]
    of = "" if sample_number == _FIRST else f"sample {sample_number} "
    order = sorted((example.id for example in examples), key=lambda i: draw(seed, of + i))
    drawn = set(order[:size])
    return [example for example in examples if example.id in drawn]


def check_limit(name: str, limit: int | str | None) -> None:
    """Raise a `ValueError` for a value that is not a limit of `LimitParams`."""
    if limit is None:
        return
    try:
        _, number, percent = _parts(limit)
    except ValueError:
        number, percent = 0.0, False
    if not (0 < number <= 100 if percent else number >= 1 and number.is_integer()):
        raise ValueError(
            f"{name} is {limit!r}; allowed: null, 1000, '1%', 'sample 1000', 'sample 1%'"
        )


def draw(seed: int, name: str) -> bytes:
    """Return the place of `name` in a random order: the lower, the earlier."""
    return hashlib.sha256(f"{seed} {name}".encode()).digest()


def _parts(limit: int | str) -> tuple[bool, float, bool]:
    match = _LIMIT.fullmatch(str(limit))
    if match is None:
        raise ValueError("not a limit")
    return bool(match[1]), float(match[2]), bool(match[3])
