"""Answers of the last run against the gold answers, and examples.

Read from the folders of the stages download and postprocess, with the score stage's own function.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from retune.core.files import read_json_lines
from retune.tasks.qa.postprocess.postprocess import N_BEST
from retune.tasks.qa.questions.examples import Example, read_examples
from retune.tasks.qa.score.score import best_scores
from retune.tools.report.content import Block, Column, Table
from retune.tools.report.sources import PREDICTIONS, TEST, read_json

_EXAMPLES = 5
_NO_ANSWER = "none"


class Answered(NamedTuple):
    """A question with its answer, whose `probability` is among the n-best; scores from 0 to 1."""

    example: Example
    answer: str
    probability: float
    exact: float
    f1: float
    candidates: Sequence[Mapping[str, Any]]


def there(root: Path) -> bool:
    """Return whether the data folders exist."""
    return (root / TEST).is_file() and (root / PREDICTIONS / N_BEST).is_file()


def read(root: Path, normalizer: str) -> list[Answered]:
    """Read every test question with its answer.

    Raises:
        RetuneError: a file cannot be read.
        KeyError: the folders are of different questions.
    """
    manifest = read_json(root, f"{PREDICTIONS}/manifest.json")
    squad_v2 = bool(manifest["params"]["qa.squad_v2"])
    answers: Mapping[str, str] = read_json(root, f"{PREDICTIONS}/predictions.json")
    candidates = {
        row["id"]: row["candidates"] for row in read_json_lines(root / PREDICTIONS / N_BEST)
    }
    found = []
    for example in read_examples(root / TEST):
        answer, texts = answers[example.id], [each.text for each in example.answers]
        exact, f1_ = best_scores(answer, texts, squad_v2=squad_v2, normalizer=normalizer)
        best = candidates[example.id]
        chances = [c["probability"] for c in best if c["text"] == answer]
        found.append(Answered(example, answer, max(chances, default=0.0), exact, f1_, best))
    return found


def f1(answered: Sequence[Answered]) -> float:
    """Return the mean F1 in percent, as the score stage computes it."""
    return 100.0 * math.fsum(each.f1 for each in answered) / len(answered)


def examples(answered: Sequence[Answered]) -> list[Block]:
    """Return the most confident right and wrong answers, and near misses."""
    surest = sorted(answered, key=lambda each: (-each.probability, each.example.id))
    nearest = sorted(answered, key=lambda each: (-each.f1, each.example.id))
    chosen = {
        "Most confident right answers": [each for each in surest if each.exact],
        "Most confident wrong answers": [each for each in surest if not each.f1],
        "Near misses": [each for each in nearest if not each.exact and each.f1],
    }
    return [_example_table(title, each) for title, each in chosen.items() if each]


def _example_table(title: str, chosen: Sequence[Answered]) -> Table:
    heads = ("question", "answer", "reference")
    rows = tuple(
        (each.example.question, each.answer, _reference(each.example), each.probability,
         100.0 * each.f1)
        for each in chosen[:_EXAMPLES]
    )  # fmt: skip
    columns = (*map(Column, heads), Column("probability", "score"), Column("F1", "score"))
    return Table(title, columns, rows)


def _reference(example: Example) -> str:
    return " / ".join(dict.fromkeys(answer.text for answer in example.answers)) or _NO_ANSWER
