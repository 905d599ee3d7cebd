"""Texts in their canonical form: one JSON object per line, checked once."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from retune.core.files import read_json_lines, write_json_lines


@dataclass(frozen=True, slots=True)
class Text:
    """One text, such as a story; its id is the split's name and the row's number, from 1."""

    id: str
    text: str


def write_texts(path: Path, texts: Iterable[Text]) -> int:
    """Write texts as JSON lines and return how many there were."""
    return write_json_lines(path, map(asdict, texts))


def read_texts(path: Path) -> Iterator[Text]:
    """Yield the texts that `write_texts` wrote."""
    return (Text(**row) for row in read_json_lines(path))
