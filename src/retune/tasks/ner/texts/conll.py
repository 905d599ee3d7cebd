"""Sentences with entity tags from CoNLL files, read strictly.

A line is a token and its tag, with spaces or tabs between them; further columns in the middle are
ignored, but every line has as many columns as the first. A blank line ends a sentence, as does
`-DOCSTART-`. Tags are IOB2: every entity begins with `B-`. There are no comments.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from retune.core.errors import RetuneError, excerpt
from retune.core.user_files import read_lines

#: How many problems a message spells out; the rest are counted.
SHOWN = 20

_DOCUMENT = "-DOCSTART-"
_TAG = re.compile(r"O|[BI]-.+")
#: Tags of schemes that also mark the end of an entity (E, S of IOBES; L, U of BILOU).
_OTHER_SCHEME = re.compile(r"[ESLU]-.+")


class Sentence(NamedTuple):
    """The tokens of a sentence and their tags; `line` is that of the first token, from 1."""

    file: Path
    line: int
    tokens: list[str]
    tags: list[str]

    def place(self, token: int) -> str:
        """The place of a token, for messages."""
        return f"{self.file}:{self.line + token}"


def read_sentences(path: Path) -> list[Sentence]:
    """The sentences of a file.

    Raises:
        RetuneError: the file is missing, is not UTF-8, has no sentence, or has wrong lines; the
            message names each.
    """
    sentences: list[Sentence] = []
    problems: list[str] = []
    columns, begins = 0, True
    for number, line in enumerate(read_lines(path, "give a CoNLL file of sentences"), 1):
        cells = _cells(line.removesuffix("\r"))
        if cells == [""] or cells[0] == _DOCUMENT:
            begins = True
            continue
        columns = columns or len(cells)
        if problem := _problem(cells, columns):
            problems.append(f"{path}:{number}: {problem}")
        if begins:
            sentences.append(Sentence(path, number, [], []))
            begins = False
        sentences[-1].tokens.append(cells[0])
        sentences[-1].tags.append(cells[-1])
    problems += _breaks(sentences)
    if not sentences:
        problems.append(f"{path}: no sentence; expected lines of a token and its tag")
    _refuse(problems)
    return sentences


def entity_types(sentences: Iterable[Sentence]) -> list[str]:
    """The types of entities, in alphabetical order."""
    return sorted({tag[2:] for sentence in sentences for tag in sentence.tags if tag != "O"})


def check_types(train: Sequence[Sentence], validation: Sequence[Sentence]) -> None:
    """Refuse a split from which nothing could be learned or measured.

    Raises:
        RetuneError: a split has no entity, or validation has a type that train lacks.
    """
    known = entity_types(train)
    problems = [
        f"{split[0].file}: no entity; every tag is O, so there is nothing to "
        f"{'learn' if split is train else 'measure'}"
        for split in (train, validation)
        if not entity_types(split)
    ]
    first: dict[str, str] = {}
    for sentence in validation:
        for number, tag in enumerate(sentence.tags):
            if tag != "O" and tag[2:] not in known:
                first.setdefault(tag[2:], sentence.place(number))
    problems += [
        f"{place}: entities of type {excerpt(name)} occur in no train sentence; train has "
        f"{', '.join(known) or 'none'}"
        for name, place in first.items()
    ]
    _refuse(problems)


def repetitions(train: Sequence[Sentence], validation: Sequence[Sentence]) -> dict[str, int]:
    """How many sentences repeat the words of an earlier one, and how many those of train."""
    texts = {name: [tuple(s.tokens) for s in split] for name, split in
             (("train", train), ("validation", validation))}  # fmt: skip
    known = set(texts["train"])
    counts = {f"{name}_duplicates": len(all_) - len(set(all_)) for name, all_ in texts.items()}
    return counts | {"validation_in_train": sum(text in known for text in texts["validation"])}


def _cells(line: str) -> list[str]:
    """Return the columns of a line; a blank line has one, without text."""
    if not line.strip(" \t"):
        return [""]
    if "\t" in line:
        return [cell.strip(" ") for cell in line.split("\t")]
    return re.split(" +", line.strip(" "))


def _problem(cells: Sequence[str], columns: int) -> str | None:
    """What is wrong with a line by itself."""
    if len(cells) == 1 or not cells[-1]:
        return f"no tag after {excerpt(cells[0])}; write `token tag`, O where there is no entity"
    if not cells[0]:
        return f"no token before the tag {excerpt(cells[-1])}; remove the line"
    if any("\r" in cell for cell in cells):
        return "a carriage return within the line; save the file with Unix line ends"
    if len(cells) != columns:
        return (
            f"{len(cells)} columns, while the first line has {columns}; if a token holds "
            "a space, separate tokens and tags by a tab in all lines"
        )
    return _tag_problem(cells[-1])


def _tag_problem(tag: str) -> str | None:
    if _OTHER_SCHEME.fullmatch(tag):
        return (
            f"the tag {excerpt(tag)} belongs to IOBES (or BILOU), not to IOB2; replace S- and "
            "U- by B-, E- and L- by I-"
        )
    if not _TAG.fullmatch(tag):
        return f"{excerpt(tag)} is not an IOB2 tag; allowed: O, B-<type>, I-<type>"
    return None


def _breaks(sentences: Iterable[Sentence]) -> Iterator[str]:
    """Entities that do not begin with B-."""
    for sentence in sentences:
        before = "O"
        for number, tag in enumerate(sentence.tags):
            known = _TAG.fullmatch(before)  # else the tag before is the problem
            if tag.startswith("I-") and known and before[2:] != tag[2:]:
                yield (
                    f"{sentence.place(number)}: the tag {excerpt(tag)} follows {excerpt(before)}, "
                    f"so it continues no entity; in IOB2 an entity begins with {'B' + tag[1:]!r}"
                )
            before = tag


def _refuse(problems: Sequence[str]) -> None:
    if problems:
        rest = len(problems) - SHOWN
        more = [f"and {rest:,} more like these"] if rest > 0 else []
        raise RetuneError("\n".join([*problems[:SHOWN], *more]))
