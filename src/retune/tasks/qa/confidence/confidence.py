"""Stage `confidence`: how well confidence holds on the test questions."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retune.core.errors import RetuneError
from retune.core.files import atomic_path, read_json_lines, write_csv, write_json, write_json_lines
from retune.core.numerics import Doubles
from retune.stats.calibration import (
    Bools,
    area_under_risk_coverage,
    brier_score,
    chance_calibration_error,
    expected_calibration_error,
    reliability_curve,
    risk_coverage,
)
from retune.stats.clusters import Clusters
from retune.stats.paired import mean_scores
from retune.tasks.qa.confidence.calibrate import ConfidenceParams
from retune.tasks.qa.confidence.calibration import Calibration, read_calibration, uncalibrated
from retune.tasks.qa.confidence.log_odds import log_odds
from retune.tasks.qa.confidence.null_threshold import best_spans, mean_f1, span_f1s
from retune.tasks.qa.postprocess.postprocess import N_BEST
from retune.tasks.qa.score.question_scores import QuestionScore, read_question_scores
from retune.tasks.qa.score.score import QUESTIONS, ScoreParams

_RELIABILITY = ("low", "high", "confidence", "right", "answers")
_COVERAGE = ("coverage", "wrong", "confidence")
_POINTS = 100  # of the curve of risk and coverage, at most


@dataclass(frozen=True)
class _Answers:
    """The answers to N test questions.

    Attributes:
        scores: of the answers.
        log_odds: shape (N,).
        right: shape (N,), whether the answer equals a gold answer.
    """

    scores: list[QuestionScore]
    log_odds: Doubles
    right: Bools


def confidence(
    scores: Path,
    predictions: Path,
    calibration: Path,
    metrics: Path,
    reliability: Path,
    coverage: Path,
    confidences: Path,
    params: ConfidenceParams,
    scoring: ScoreParams,
) -> str:
    """Measure confidence on the test questions.

    Args:
        scores: folder with the score of each answer.
        predictions: folder with the n-best lists.
        calibration: folder that the stage `calibrate` wrote.
        metrics: file to write, with the figures.
        reliability: file to write, with the reliability curve as CSV for a plot.
        coverage: file to write, with the curve of risk and coverage, likewise.
        confidences: folder to write, with the confidence of each answer.
        params: of the curves.
        scoring: how answers are scored.
    """
    lines = [*read_json_lines(predictions / N_BEST)]
    answers = _read(read_question_scores(scores / QUESTIONS), lines)
    found = read_calibration(calibration)
    values = found.confidence(answers.log_odds)
    versions = {"n-best share": uncalibrated(answers.log_odds)}
    versions |= {"calibrated": values} if found.is_fitted else {}
    figures = {
        "confidence": [
            _errors(name, answers.right, each, params.bins) for name, each in versions.items()
        ],
        "selection": [_selection(answers.right, values)],
        "promise": [_promise(found, answers, values)],
        "reliability": [
            {"of": name} | row
            for name, each in versions.items()
            for row in _curve(answers.right, each, params.bins)
        ],
        "null_threshold": [*_null_threshold(found, answers.scores, lines, scoring)],
    }  # fmt: skip
    with atomic_path(confidences) as folder:
        folder.mkdir()
        rows = zip(answers.scores, values.tolist(), strict=True)
        write_json_lines(folder / QUESTIONS, ({"id": s.id, "confidence": c} for s, c in rows))
    write_json(metrics, {"qa": figures})
    curve = _curve(answers.right, values, params.bins)
    write_csv(reliability, _RELIABILITY, [[row[key] for key in _RELIABILITY] for row in curve])
    write_csv(coverage, _COVERAGE, _thinned(answers.right, values))
    return _sentence(figures["confidence"])


def _read(scores: list[QuestionScore], lines: list[dict[str, Any]]) -> _Answers:
    if [score.id for score in scores] != [line["id"] for line in lines]:
        raise RetuneError(
            "scores and predictions are of different questions; run `dvc repro`, which makes both "
            "from one run"
        )
    values = [log_odds(line, s.answer) for line, s in zip(lines, scores, strict=True)]
    return _Answers(scores, np.array(values), np.array([score.exact_match for score in scores]))


def _errors(name: str, right: Bools, values: Doubles, bins: int) -> dict[str, Any]:
    error = expected_calibration_error(reliability_curve(right, values, bins))
    return {
        "confidence": name,
        "expected_calibration_error": 100.0 * error,
        "by_chance": 100.0 * chance_calibration_error(values, bins),
        "brier_score": brier_score(right, values),
        "mean": 100.0 * math.fsum(values) / len(values),
        "exact_match": 100.0 * int(right.sum()) / len(right),
    }


def _selection(right: Bools, values: Doubles) -> dict[str, float]:
    """How well confidence puts right answers before wrong ones; the lower, the better."""
    return {
        "area_under_risk_coverage": area_under_risk_coverage(right, values),
        "of_equal_confidence": area_under_risk_coverage(right, np.zeros(len(right))),
        "of_perfect_order": area_under_risk_coverage(right, right.astype(np.float64)),
    }


def _promise(found: Calibration, answers: _Answers, values: Doubles) -> dict[str, Any]:
    """What was promised, and what came of it on the test questions."""
    row: dict[str, Any] = {
        "precision": 100.0 * found.precision,
        "certainty": 100.0 * found.certainty,
        "validation_passages": found.passages,
        "needed_passages": found.needed,
        "confidence": found.promised,
        "answers": None, "coverage": None, "right": None, "right_low": None, "right_high": None,
    }  # fmt: skip
    if found.promised is None:
        return row
    kept = values >= found.promised
    row |= {"answers": int(kept.sum()), "coverage": 100.0 * int(kept.sum()) / len(kept)}
    if kept.any():
        inside = [s.passage for s, keep in zip(answers.scores, kept.tolist(), strict=True) if keep]
        scores = {"right": np.where(answers.right[kept], 100.0, 0.0)}
        mean = mean_scores(scores, Clusters.named(inside))["right"]
        row |= {"right": mean.value, "right_low": mean.low, "right_high": mean.high}
    return row


def _curve(right: Bools, values: Doubles, bins: int) -> Iterator[dict[str, Any]]:
    for each in reliability_curve(right, values, bins):
        edges = {"low": each.low, "high": each.high}
        yield edges | {"confidence": each.probability, "right": each.share, "answers": each.items}


def _null_threshold(
    found: Calibration,
    scores: list[QuestionScore],
    lines: Sequence[Mapping[str, Any]],
    scoring: ScoreParams,
) -> Iterator[dict[str, float]]:
    """Yield F1 on test with the null threshold that is best on validation, if there is one."""
    if found.null_threshold is None:
        return
    spans = best_spans(lines)
    f1s = span_f1s(scores, spans, scoring.normalizer)
    margins = np.array([span.margin for span in spans])
    fitted = mean_f1(*f1s, margins, found.null_threshold)
    yield {"null_threshold": found.null_threshold, "f1_with_null_threshold": fitted}


def _thinned(right: Bools, values: Doubles) -> list[tuple[float, float, float]]:
    """The curve of risk and coverage in percent, with a point for each percent of coverage."""
    points = {
        int(_POINTS * each.coverage): (100.0 * each.coverage, 100.0 * each.risk, each.confidence)
        for each in risk_coverage(right, values)
    }
    return [*points.values()]


def _sentence(rows: list[dict[str, Any]]) -> str:
    errors = ", ".join(
        f"{row['confidence']} {row['expected_calibration_error']:.1f}" for row in rows
    )
    return f"expected calibration error in points: {errors}"
