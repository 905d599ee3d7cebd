"""The score of each question, which comparisons pair and group by passage."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retune.core.files import read_json_lines, write_json_lines
from retune.tasks.qa.questions.examples import Example

if TYPE_CHECKING:
    from retune.tasks.qa.score.score import Scores


@dataclass(frozen=True, slots=True)
class QuestionScore:
    """The answer to a question and its score.

    Attributes:
        id: of the question.
        passage: the start of the SHA-256 of its context.
        article: the title, or the passage if there is none.
        question: the text.
        references: texts of the reference answers, each once; none if there is no answer.
        exact_match: whether the answer equals a reference answer.
        f1: from 0 to 1.
        answer: the text; "" if there is none.
    """

    id: str
    passage: str
    article: str
    question: str
    references: tuple[str, ...]
    exact_match: bool
    f1: float
    answer: str


def question_scores(
    examples: Iterable[Example], scores: "Scores", answers: Mapping[str, str]
) -> list[QuestionScore]:
    """Combine questions with their scores, both in the same order, and with their answers by id."""
    rows = zip(examples, scores.exact.tolist(), scores.f1s.tolist(), strict=True)
    found = []
    for example, exact, f1 in rows:
        passage = hashlib.sha256(example.context.encode()).hexdigest()[:16]
        place = (example.id, passage, example.title or passage, example.question)
        references = tuple(dict.fromkeys(answer.text for answer in example.answers))
        answer = answers.get(example.id, "")
        found.append(QuestionScore(*place, references, exact, f1, answer))
    return found


def write_question_scores(path: Path, scores: Iterable[QuestionScore]) -> None:
    """Write a line of JSON for each question."""
    write_json_lines(path, map(asdict, scores))


def read_question_scores(path: Path) -> list[QuestionScore]:
    """Read what `write_question_scores` wrote."""
    return [as_question_score(row) for row in read_json_lines(path)]


def as_question_score(row: Mapping[str, Any]) -> QuestionScore:
    """Return the score in a line of the file."""
    return QuestionScore(**{**row, "references": tuple(row["references"])})
