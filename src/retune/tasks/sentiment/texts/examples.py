"""Sentences with their sentiment in the one canonical form: a JSON object a line, checked once.

A label is the number of its name in `LABELS`. Rows that augmentation made carry the id of
the sentence that they were made of in `source`, and what made them in `method`; both are
null for the data set's own.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from retune.core.files import read_json_lines, write_json_lines

#: By number: a model's logits stand in this order.
LABELS = ("negative", "positive")
#: Above it P(positive) stands for the second of them.
THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class Example:
    """One text and its label, 0 or 1."""

    id: str
    text: str
    label: int
    source: str | None
    method: str | None


def write_examples(path: Path, examples: Iterable[Example]) -> int:
    """Write examples as JSON lines and return how many there were."""
    return write_json_lines(path, map(asdict, examples))


def read_examples(path: Path) -> Iterator[Example]:
    """Yield the examples that `write_examples` wrote."""
    return (Example(**row) for row in read_json_lines(path))
