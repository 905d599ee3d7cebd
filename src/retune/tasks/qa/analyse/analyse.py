"""Stage `analyse`: where the reader is right and wrong, by groups of questions and by mistakes.

Intervals are by the bootstrap over passages, as those of `retune compare`. They are for one group
each: of forty groups, two lie outside by chance.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retune.core.files import (
    atomic_path,
    read_json,
    read_json_lines,
    write_csv,
    write_json,
    write_json_lines,
)
from retune.stats.clusters import Clusters
from retune.stats.paired import Mean, mean_scores
from retune.tasks.qa.analyse.errors import ERRORS, error_kind, given_answer
from retune.tasks.qa.analyse.groups import Asked, Grouping, groupings
from retune.tasks.qa.questions.examples import Example, read_examples
from retune.tasks.qa.questions.splits import SCORED
from retune.tasks.qa.score.normalizers import NORMALIZERS
from retune.tasks.qa.score.question_scores import QuestionScore, question_scores
from retune.tasks.qa.score.score import QUESTIONS, ScoreParams, evaluate_answers
from retune.tasks.qa.windows.features import read_windows

#: The headings of the two tables.
_GROUPS = ("group", "questions", "exact_match", "f1", "f1_low", "f1_high")
_ERRORS = ("error", "questions")


@dataclass(frozen=True, slots=True)
class Analysed:
    """A question with its score.

    Attributes:
        score: of the answer.
        groups: the name of its group, by the name of the grouping.
        error: the kind of mistake; None if the answer equals a reference.
    """

    score: QuestionScore
    groups: Mapping[str, str]
    error: str | None


def analyse(
    raw: Path,
    features: Path,
    predictions: Path,
    metrics: Path,
    by_group: Path,
    by_error: Path,
    questions: Path,
    params: ScoreParams,
    *,
    squad_v2: bool,
) -> str:
    """Group the test questions and name the mistakes.

    Args:
        raw: folder with the questions.
        features: folder with their windows, and notes on what these lose.
        predictions: folder with the answers.
        metrics: file to write, with scores by group and counts of mistakes.
        by_group: file to write, with the scores as CSV for a plot.
        by_error: file to write, with the counts as CSV for a plot.
        questions: folder to write, with the groups and the mistake of each question.
        params: how answers are scored and words are counted.
        squad_v2: whether questions may have no answer.

    Raises:
        RetuneError: questions and answers do not belong together.
    """
    tokens = NORMALIZERS[params.normalizer]
    ways = groupings(tokens)
    examples = [*read_examples(raw / f"{SCORED}.jsonl")]
    scores = _scored(examples, predictions, params, squad_v2=squad_v2)
    found = [*_analysed(examples, scores, features, predictions, ways)]
    groups = [row for way in ways for row in _rows(way, found)]
    wrong = Counter(each.error for each in found if each.error)
    errors = [
        {"error": error, "questions": wrong[error], "percent": 100.0 * wrong[error] / len(found)}
        for error in ERRORS
        if wrong[error]
    ]
    with atomic_path(questions) as folder:
        folder.mkdir()
        rows = ({"id": e.score.id, "groups": e.groups, "error": e.error} for e in found)
        write_json_lines(folder / QUESTIONS, rows)
    write_json(metrics, {"qa": {"groups": groups, "errors": errors}})
    _write_tables(by_group, by_error, groups, errors)
    return _sentence(errors, len(found))


def _scored(
    examples: Sequence[Example], predictions: Path, params: ScoreParams, *, squad_v2: bool
) -> list[QuestionScore]:
    """Score the answers as the score stage does."""
    gold = [(example.id, [answer.text for answer in example.answers]) for example in examples]
    texts = read_json(predictions / "predictions.json")
    scores = evaluate_answers(gold, texts, squad_v2=squad_v2, normalizer=params.normalizer)
    return question_scores(examples, scores, texts)


def _analysed(
    examples: Sequence[Example],
    scores: Sequence[QuestionScore],
    features: Path,
    predictions: Path,
    ways: Sequence[Grouping],
) -> Iterator[Analysed]:
    listed = {row["id"]: row["candidates"] for row in read_json_lines(predictions / "nbest.jsonl")}
    notes: dict[str, set[str]] = {}
    for row in read_json_lines(features / f"{SCORED}_notes.jsonl"):
        notes.setdefault(row["id"], set()).add(row["kind"])
    windows = read_windows(features / f"{SCORED}.arrow").example
    counts = np.bincount(windows, minlength=len(examples)).tolist()
    for example, score, count in zip(examples, scores, counts, strict=True):
        asked = Asked(example, count)
        error = None
        if not score.exact_match:
            given = given_answer(score.answer, listed[example.id])
            error = error_kind(example, given, notes.get(example.id, ()))
        yield Analysed(score, {way.name: way.group(asked) for way in ways}, error)


def _rows(way: Grouping, found: Sequence[Analysed]) -> Iterator[dict[str, Any]]:
    """Yield the scores of each group of one grouping; none if all questions are in one group."""
    inside: dict[str, list[Analysed]] = {}
    for each in found:
        inside.setdefault(each.groups[way.name], []).append(each)
    if len(inside) == 1:
        return
    for name in way.names:
        if name in inside:
            yield {"by": way.name, "group": name} | _scores(inside[name])


def _scores(group: Sequence[Analysed]) -> dict[str, Any]:
    clusters = Clusters.named([each.score.passage for each in group])
    scores = {
        "exact_match": np.array([100.0 * each.score.exact_match for each in group]),
        "f1": np.array([100.0 * each.score.f1 for each in group]),
    }
    means: Mapping[str, Mean] = mean_scores(scores, clusters)
    row: dict[str, Any] = {"questions": len(group), "passages": len(clusters)}
    for name, mean in ((name, means[name]) for name in scores):
        row |= {name: mean.value, f"{name}_low": mean.low, f"{name}_high": mean.high}
    return row


def _write_tables(
    by_group: Path,
    by_error: Path,
    groups: Sequence[Mapping[str, Any]],
    errors: Sequence[Mapping[str, Any]],
) -> None:
    rows = [(f"{row['by']}: {row['group']}", *(row[key] for key in _GROUPS[1:])) for row in groups]
    write_csv(by_group, _GROUPS, rows)
    write_csv(by_error, _ERRORS, [[row[key] for key in _ERRORS] for row in errors])


def _sentence(errors: Sequence[Mapping[str, Any]], questions: int) -> str:
    wrong = sum(row["questions"] for row in errors)
    if not wrong:
        return f"all {questions:,} answers equal a reference"
    most = max(errors, key=lambda row: row["questions"])
    return (
        f"{wrong:,} of {questions:,} answers are wrong, most often: {most['error']} "
        f"({most['questions']:,})"
    )
