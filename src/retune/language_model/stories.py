"""Texts to train a language model on, read strictly, and packed into blocks of equal length.

A `.txt` file is one text; in a `.jsonl` file every line is an object with a text in a field.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from retune.adapters.blocks import Blocks
from retune.adapters.conll import SHOWN
from retune.errors import RetuneError, excerpt
from retune.language_model.prompts import Tokens
from retune.own_files import read_lines
from retune.qa.reading_json import read_json


class Story(NamedTuple):
    """A text, and where it stands, for messages."""

    place: str
    text: str


def read_stories(path: Path, field: str) -> list[Story]:
    """The texts of a file; `field` is the name of theirs in JSON lines.

    Raises:
        RetuneError: no such file, neither text nor JSON lines, not UTF-8, or what is in it is not
            as it must be; each line is named.
    """
    if path.suffix not in (".txt", ".jsonl"):
        raise RetuneError(f"{path}: {path.suffix or 'no suffix'} is not .txt or .jsonl; rename it")
    text = "\n".join(read_lines(path, "give a file of stories"))
    if not text.strip():
        raise RetuneError(f"{path}: no text in it; take it out of the list of files")
    if path.suffix == ".txt":
        return [Story(str(path), text)]
    found = list(_rows(text, path, field))
    problems = [each for each in found if isinstance(each, str)]
    if problems:
        rest = len(problems) - SHOWN
        more = [f"and {rest:,} more of the like"] if rest > 0 else []
        raise RetuneError("\n".join([*problems[:SHOWN], *more]))
    return [each for each in found if isinstance(each, Story)]


def pack_tokens(texts: Iterable[Tokens], size: int, between: int | None) -> Blocks:
    """Blocks of `size` tokens: texts one after the other, cut wherever a block is full.

    Args:
        texts: their tokens.
        size: of a block.
        between: the token after each text, such as that of end of text; none where it is null.

    Raises:
        RetuneError: size is below 2, or the texts make no block.
    """
    if size < 2:
        raise RetuneError(f"block_size: {size} leaves no token to be told; give 2 or more")
    end = [] if between is None else [between]
    stream = [token for text in texts for token in (*text, *end)]
    count = len(stream) // size
    if count == 0:
        raise RetuneError(
            f"block_size: {len(stream)} tokens of text make no block of {size}; lower it, or add "
            "text"
        )
    ids = np.array(stream[: count * size], np.int64).reshape(count, size)
    return Blocks(ids, len(stream) - count * size)


def _rows(text: str, path: Path, field: str) -> Iterator[Story | str]:
    """Each line's story, or what is wrong with the line."""
    for where, value in read_json(text, str(path)):
        line = where.removeprefix("line ").removesuffix(":") or "1"  # "" stands for the whole file
        place = f"{path}:{line}"
        problem = _problem(value, field)
        yield f"{place}: {problem}" if problem else Story(place, value[field])


def _problem(value: Any, field: str) -> str | None:
    if not isinstance(value, dict):
        return f'expected an object, as {{"{field}": "..."}}, got {excerpt(value)}'
    if field not in value:
        return f"no field {field!r}; there are {', '.join(value) or 'none'}"
    if not isinstance(value[field], str) or not value[field].strip():
        return f"{field}: expected a text that is not blank, got {excerpt(value[field])}"
    return None
