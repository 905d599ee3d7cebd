"""Answers of the last run against the gold answers: by question, by probability, by example.

Read from the folders of the stages download and postprocess, with the score stage's own function.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from retune.core.files import read_json_lines
from retune.tasks.qa.analyse.answer_kinds import question_word
from retune.tasks.qa.questions.examples import Example, read_examples
from retune.tasks.qa.score.score import best_scores
from retune.tools.report.content import Block, Column, Line, Lines, Remark, Table
from retune.tools.report.sources import read_json

RAW = "data/qa/test/test.jsonl"
PREDICTIONS = "data/qa/predictions"
_BINS = 10
_EXAMPLES = 5
_NO_ANSWER = "none"


class Answered(NamedTuple):
    """A question with its answer, whose `probability` is among the n best; scores from 0 to 1."""

    example: Example
    answer: str
    probability: float
    exact: float
    f1: float


def there(root: Path) -> bool:
    """Return whether the data folders exist."""
    return (root / RAW).is_file() and (root / PREDICTIONS / "nbest.jsonl").is_file()


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
        row["id"]: row["candidates"] for row in read_json_lines(root / PREDICTIONS / "nbest.jsonl")
    }
    found = []
    for example in read_examples(root / RAW):
        answer, texts = answers[example.id], [each.text for each in example.answers]
        exact, f1_ = best_scores(answer, texts, squad_v2=squad_v2, normalizer=normalizer)
        chances = [c["probability"] for c in candidates[example.id] if c["text"] == answer]
        found.append(Answered(example, answer, max(chances, default=0.0), exact, f1_))
    return found


def f1(answered: Sequence[Answered]) -> float:
    """Return the mean F1 in percent, as the score stage computes it."""
    return 100.0 * math.fsum(each.f1 for each in answered) / len(answered)


def buckets(answered: Sequence[Answered]) -> list[Block]:
    """Return scores by question word, by answer length and by context length."""
    kinds: dict[str, Callable[[Example], str]] = {
        "word of the question": lambda example: question_word(example.question),
        "words of the shortest reference": _reference_length,
        "words of the context": _context_length,
    }
    return [_bucket_table(name, kind, answered) for name, kind in kinds.items()]


def calibration(answered: Sequence[Answered]) -> list[Block]:
    """Return the share of right answers by probability, and the expected calibration error."""
    bins: dict[int, list[Answered]] = {}
    for each in answered:
        bins.setdefault(min(int(each.probability * _BINS), _BINS - 1), []).append(each)
    rows = []
    for place, inside in sorted(bins.items()):
        span = f"{place / _BINS:.1f} to {(place + 1) / _BINS:.1f}"
        mean, right = (
            math.fsum(values) / len(inside)
            for values in ([e.probability for e in inside], [e.exact for e in inside])
        )
        rows.append((span, len(inside), mean, right))
    gaps = [count * abs(mean - right) for _, count, mean, right in rows]
    error = 100.0 * math.fsum(gaps) / len(answered)
    line = Line("answers", tuple((mean, right) for _, _, mean, right in rows))
    heads = (Column("probability"), Column("answers", "count"))
    return [
        Lines("Reliability", "probability", "exact match", (line,), diagonal=True),
        Table(
            "Probability of the answer among the n best, and how often it is right",
            (*heads, Column("mean", "score"), Column("exact match", "score")),
            tuple(rows),
        ),
        Remark(
            f"The expected calibration error is {error:.2f} points: the mean distance of "
            "probability and exact match, bin by bin (Naeini et al. 2015)."
        ),
    ]


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


def _bucket_table(name: str, kind: Callable[[Example], str], answered: Sequence[Answered]) -> Table:
    groups: dict[str, list[Answered]] = {}
    for each in answered:
        groups.setdefault(kind(each.example), []).append(each)
    rows = tuple(
        (group, len(inside), 100.0 * math.fsum(e.exact for e in inside) / len(inside), f1(inside))
        for group, inside in sorted(groups.items(), key=lambda item: _order(item[0]))
    )
    scores = (Column("EM", "score"), Column("F1", "score"))
    return Table(f"By {name}", (Column(name), Column("questions", "count"), *scores), rows)


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


def _reference_length(example: Example) -> str:
    lengths = [len(answer.text.split()) for answer in example.answers]
    return _span(min(lengths), (1, 2, 4, 7)) if lengths else _NO_ANSWER


def _context_length(example: Example) -> str:
    return _span(len(example.context.split()), (0, 50, 100, 150, 200, 300))


def _span(value: int, starts: Sequence[int]) -> str:
    """Return the group of `value` among groups that begin at `starts`."""
    place = max(n for n, start in enumerate(starts) if value >= start or n == 0)
    if place == len(starts) - 1:
        return f"{starts[place]} or more"
    low, high = starts[place], starts[place + 1] - 1
    return str(low) if low == high else f"{low} to {high}"


def _order(group: str) -> tuple[int, str]:
    first = group.split(maxsplit=1)[0]
    return (int(first) if first.isdecimal() else -1, group)
