"""The output of `retune score`."""

import json
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retune.core.errors import listed
from retune.core.numerics import Doubles
from retune.core.terminal_text import escaped, escaped_json
from retune.stats.clusters import Clusters
from retune.stats.paired import Draws, Mean, mean_scores
from retune.tables.terminal_tables import print_table, print_wrapped
from retune.tasks.qa.score.official import figures, figures_with_thresholds, left_unanswered
from retune.tasks.qa.score.score import Scores
from retune.tools.compare.clustering import By, clusters_of, counted
from retune.tools.compare.predictions import (
    read_answers,
    read_gold,
    read_probabilities,
    score_answers,
)
from retune.tools.compare.systems import SCORES
from retune.tools.compare.tables import interval

#: Mean and interval of each score, in percent, by group of questions.
Intervals = Mapping[str, Mapping[str, Mean]]


@dataclass(frozen=True)
class Report:
    """What `retune score` says.

    Attributes:
        figures: the official ones, by the names that `evaluate` gives them.
        intervals: of the scores of all questions, and of those with and without an answer.
        by: what questions are grouped by.
        groups: how many groups there are.
        missing: ids of questions without a prediction.
        surplus: ids of predictions without a question.
    """

    figures: Mapping[str, float]
    intervals: Intervals
    by: By
    groups: int
    missing: list[str]
    surplus: list[str]


def run(arguments: Namespace) -> int:
    """Print the official figures of a predictions file, with intervals; return 0.

    Raises:
        RetuneError: a file cannot be read, or predictions and questions do not belong together.
    """
    report = scored(
        arguments.predictions,
        arguments.data,
        squad_v2=arguments.squad_v2,
        na_prob=arguments.na_prob,
        na_threshold=arguments.na_threshold,
        normalizer=arguments.normalizer,
        missing=arguments.missing,
        by=arguments.cluster,
    )
    if arguments.json:
        print(escaped_json(json.dumps(_as_json(report), indent=2, ensure_ascii=False)))
    else:
        _print(report)
    return 0


def scored(
    predictions: Path,
    data: Path,
    *,
    squad_v2: bool = False,
    na_prob: Path | None = None,
    na_threshold: float = 1.0,
    normalizer: str = "squad",
    missing: str = "zero",
    by: By = "passage",
) -> Report:
    """Score a predictions file as the SQuAD scripts do.

    Args:
        predictions: a JSON object of answers by question id.
        data: a data file of any form that is read.
        squad_v2: whether questions may have no reference answer.
        na_prob: a JSON object of probabilities of no answer, for SQuAD 2.0.
        na_threshold: a higher probability than this counts as the answer "".
        normalizer: a name in `retune.tasks.qa.score.normalizers.NORMALIZERS`.
        missing: "zero" or "error", for questions without a prediction.
        by: what questions are grouped by, for the intervals.

    Raises:
        RetuneError: a file cannot be read, or predictions and questions do not belong together.
    """
    squad_v2 = squad_v2 or na_prob is not None
    answers = read_answers(predictions)
    found = score_answers(
        answers,
        read_gold(data, squad_v2=squad_v2),
        squad_v2=squad_v2,
        normalizer=normalizer,
        missing="error" if na_prob or missing == "error" else "zero",
    )
    scores, official = found.scores, figures(found.scores, squad_v2=squad_v2)
    if na_prob:
        shares = read_probabilities(na_prob, found.answers)
        official = figures_with_thresholds(scores, found.answers, shares, na_threshold)
        scores = left_unanswered(scores, [i for i in found.answers if shares[i] > na_threshold])
    clusters = clusters_of(found.questions, by)
    return Report(
        official,
        _intervals(scores, clusters, squad_v2=squad_v2),
        by,
        len(clusters),
        list(found.missing),
        list(found.surplus),
    )


def _intervals(scores: Scores, clusters: Clusters, *, squad_v2: bool) -> Intervals:
    chosen = {"all": np.ones(len(scores.ids), bool)}
    if squad_v2:
        chosen |= {"HasAns": scores.has_answer, "NoAns": ~scores.has_answer}
    return {name: _means(scores, clusters, each) for name, each in chosen.items() if each.any()}


def _means(scores: Scores, clusters: Clusters, chosen: NDArray[np.bool_]) -> dict[str, Mean]:
    inside = Clusters.named(clusters.numbers[chosen].tolist())
    exact = scores.exact.astype(np.float64)
    percent: dict[str, Doubles] = {"exact_match": 100.0 * exact, "f1": 100.0 * scores.f1s}
    return mean_scores({name: values[chosen] for name, values in percent.items()}, inside)


def _as_json(report: Report) -> dict[str, Any]:
    intervals = {
        group: {name: [mean.low, mean.high] for name, mean in means.items()}
        for group, means in report.intervals.items()
    }
    return {
        "figures": dict(report.figures),
        "intervals": intervals,
        "cluster": report.by,
        "clusters": report.groups,
        "missing": report.missing,
        "surplus": report.surplus,
    }


def _print(report: Report) -> None:
    rows = []
    for group, means in report.intervals.items():
        prefix = "" if group == "all" else f"{group}_"
        cells = [f"{int(report.figures[f'{prefix}total']):,}"]
        for name in SCORES:
            cells += [f"{report.figures[f'{prefix}{name}']:.2f}", interval(means[name])]
        rows.append([group, *cells])
    print_table(["questions"], ["count", "EM", "95 %", "F1", "95 %"], rows)
    for name, label in SCORES.items():
        if f"best_{name}" in report.figures:
            best = report.figures[f"best_{name}"], report.figures[f"best_{name}_threshold"]
            print(f"best {label} {best[0]:.2f}, at a threshold of {best[1]:.6g}")
    if report.missing:
        count = f"{len(report.missing):,} of {int(report.figures['total']):,}"
        _note(f"questions without a prediction, which score 0: {count}", report.missing)
    if report.surplus:
        count = f"{len(report.surplus):,}"
        _note(f"predictions without a question, which count for nothing: {count}", report.surplus)
    print_wrapped(
        f"Intervals: bootstrap over {counted(report.groups, report.by)} ({Draws().count:,} draws). "
        "They cover other questions of this kind, not other seeds of a training."
    )


def _note(text: str, ids: list[str]) -> None:
    print_wrapped(escaped(f"note: {text} ({listed(ids, 3)})"))
