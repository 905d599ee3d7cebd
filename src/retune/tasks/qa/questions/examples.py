"""Questions in their canonical form: one JSON object per line, checked once.

The form is SQuAD's, flattened: `id`, `title`, `context`, `question`, and `answers`
with `text` and `answer_start` (a character offset into the context). A question
without answers is unanswerable. In a split that is only scored an answer may be `UNPLACED`:
EM and F1 count it, but it labels no window.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from retune.core.files import read_json_lines, write_json_lines

#: The `answer_start` of a reference answer that has no place in its context.
UNPLACED = -1


@dataclass(frozen=True, slots=True)
class Answer:
    """A reference answer: `context[start:start + len(text)] == text`, unless it is `UNPLACED`."""

    text: str
    start: int

    @property
    def end(self) -> int:
        """Offset of the first character behind the answer."""
        return self.start + len(self.text)


@dataclass(frozen=True, slots=True)
class Example:
    """One question on one context."""

    id: str
    title: str
    context: str
    question: str
    answers: tuple[Answer, ...]

    @property
    def label(self) -> Answer | None:
        """The answer that windows are labelled with: the first that has a place."""
        return next((answer for answer in self.answers if answer.start != UNPLACED), None)

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Start and end (exclusive) of each placed reference answer, in characters."""
        return [(answer.start, answer.end) for answer in self.answers if answer.start != UNPLACED]


class Passage(Protocol):
    """A context in which a question is answered; an `Example` is one."""

    @property
    def id(self) -> str:
        """The id of the question."""

    @property
    def context(self) -> str:
        """The text that has the answer."""


class AnsweredPassage(NamedTuple):
    """A passage with its reference answers, as in the file."""

    id: str
    context: str
    answers: dict[str, list[Any]]

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Start and end (exclusive) of each placed reference answer, in characters."""
        pairs = zip(self.answers["answer_start"], self.answers["text"], strict=True)
        return [(start, start + len(text)) for start, text in pairs if start != UNPLACED]


def write_examples(path: Path, examples: Iterable[Example]) -> int:
    """Write examples as JSON lines and return how many there were."""
    return write_json_lines(path, map(_row, examples))


def read_examples(path: Path) -> Iterator[Example]:
    """Yield the examples that `write_examples` wrote."""
    return map(_example, read_json_lines(path))


def read_passages(path: Path) -> Iterator[AnsweredPassage]:
    """Yield passages with their reference answers; this is faster than `read_examples`."""
    rows = read_json_lines(path)
    return (AnsweredPassage(row["id"], row["context"], row["answers"]) for row in rows)


def _row(example: Example) -> dict[str, Any]:
    return {
        "id": example.id,
        "title": example.title,
        "context": example.context,
        "question": example.question,
        "answers": {
            "text": [answer.text for answer in example.answers],
            "answer_start": [answer.start for answer in example.answers],
        },
    }


def _example(row: dict[str, Any]) -> Example:
    answers = row["answers"]
    pairs = zip(answers["text"], answers["answer_start"], strict=True)
    return Example(
        id=row["id"],
        title=row["title"],
        context=row["context"],
        question=row["question"],
        answers=tuple(Answer(text, start) for text, start in pairs),
    )
