"""Labelled sentences in their canonical form: one JSON object per line, checked once.

A label is the number of its name in `LABELS`. Rows of augmentation have the id of their original
sentence in `source` and the name of the method in `method`. Both are null for rows of the data set.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from retune.core.files import read_json_lines, write_json_lines

#: By number, which is also the order of the logits.
LABELS = ("negative", "positive")
#: P(positive) above this means the second label.
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
