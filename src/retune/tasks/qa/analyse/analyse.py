"""Stage `analyse`: scores of groups of questions, and the type of each error.

Intervals come from the bootstrap over passages, as in `retune compare`. Each interval is for one
group: about one in twenty misses its true value.
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
from retune.tasks.qa.analyse.errors import ERRORS, Span, error_type, predicted
from retune.tasks.qa.analyse.groups import Grouping, Item, groupings
from retune.tasks.qa.questions.examples import Example, read_examples
from retune.tasks.qa.questions.splits import SCORED
from retune.tasks.qa.score.normalizers import NORMALIZERS
from retune.tasks.qa.score.question_scores import QuestionScore
from retune.tasks.qa.score.score import QUESTIONS, ScoreParams, score_predictions
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
        error: the type of error; None if the answer equals a gold answer.
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
    """Group the test questions and name the errors.

    Args:
        raw: folder with the questions.
        features: folder with their windows.
        predictions: folder with the answers.
        metrics: file to write, with scores by group and counts of errors.
        by_group: file to write, with the scores as CSV for a plot.
        by_error: file to write, with the counts as CSV for a plot.
        questions: folder to write, with the groups and the error of each question.
        params: how answers are scored and words are counted.
        squad_v2: whether questions may have no answer.

    Raises:
        RetuneError: questions and answers do not belong together.
    """
    tokens = NORMALIZERS[params.normalizer]
    ways = groupings(tokens)
    examples = [*read_examples(raw / f"{SCORED}.jsonl")]
    _, scores = score_predictions(examples, predictions, params, squad_v2=squad_v2)
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


def _analysed(
    examples: Sequence[Example],
    scores: Sequence[QuestionScore],
    features: Path,
    predictions: Path,
    ways: Sequence[Grouping],
) -> Iterator[Analysed]:
    rows = read_json_lines(predictions / "nbest.jsonl")
    candidates = {row["id"]: row["candidates"] for row in rows}
    too_long = set(read_json(predictions / "report.json")["too_long"])
    windows = passage_spans(features / f"{SCORED}.arrow", len(examples))
    for example, score, spans in zip(examples, scores, windows, strict=True):
        error = None
        if not score.exact_match:
            prediction = predicted(score.answer, candidates[example.id])
            is_too_long = example.id in too_long
            error = error_type(example, prediction, spans, is_too_long=is_too_long)
        item = Item(example, len(spans))
        yield Analysed(score, {way.name: way.group(item) for way in ways}, error)


def passage_spans(path: Path, questions: int) -> list[list[Span]]:
    """Return the characters of the passage in each window of each question.

    A window without a token of the passage has (0, 0).
    """
    windows = read_windows(path)
    tokens = windows.window_tokens()[:-1]
    first, behind = tokens + windows.context_start, tokens + windows.context_end
    spans: list[list[Span]] = [[] for _ in range(questions)]
    for row, question in enumerate(windows.example.tolist()):
        start, end = int(first[row]), int(behind[row])
        has_text = start < end
        span = (
            (int(windows.char_start[start]), int(windows.char_end[end - 1])) if has_text else (0, 0)
        )
        spans[question].append(span)
    return spans


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
        return f"all {questions:,} answers equal a gold answer"
    most = max(errors, key=lambda row: row["questions"])
    return (
        f"{wrong:,} of {questions:,} answers are wrong, most often: {most['error']} "
        f"({most['questions']:,})"
    )
