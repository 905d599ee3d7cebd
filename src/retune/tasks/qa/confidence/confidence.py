"""Stage `confidence`: how well confidence holds on the test questions."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic.dataclasses import dataclass

from retune.core.files import atomic_path, write_csv, write_json, write_json_lines
from retune.core.numerics import Doubles
from retune.core.params import STRICT, Positive
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
from retune.tasks.qa.confidence.calibration import Calibration, read_calibration, uncalibrated
from retune.tasks.qa.confidence.null_threshold import best_spans, mean_f1, span_f1s
from retune.tasks.qa.confidence.scored_answers import ScoredAnswers, score_test_answers
from retune.tasks.qa.score.score import QUESTIONS, ScoreParams

_RELIABILITY = ("low", "high", "confidence", "right", "answers")
_COVERAGE = ("coverage", "wrong", "confidence")


@dataclass(frozen=True, config=STRICT)
class ConfidenceParams:
    """Section `qa.confidence`: the reliability curve has `bins` of equal width."""

    bins: Positive


def confidence(
    test: Path,
    predictions: Path,
    calibration: Path,
    metrics: Path,
    reliability: Path,
    coverage: Path,
    confidences: Path,
    *,
    params: ConfidenceParams,
    scoring: ScoreParams,
    squad_v2: bool,
) -> str:
    """Measure confidence on the test questions.

    Args:
        test: folder with the test questions.
        predictions: folder with the answers and their n-best lists.
        calibration: folder that the stage `calibrate` wrote.
        metrics: file to write, with the figures.
        reliability: file to write, with the reliability curve as CSV for a plot.
        coverage: file to write, with the curve of risk and coverage, likewise.
        confidences: folder to write, with the confidence of each answer.
        params: of the curves.
        scoring: how answers are scored.
        squad_v2: whether questions may have no answer.

    Raises:
        RetuneError: questions and answers do not belong together.
    """
    answers = score_test_answers(test, predictions, scoring, squad_v2=squad_v2)
    found = read_calibration(calibration)
    values = found.confidence(answers.log_odds)
    with atomic_path(confidences) as folder:
        folder.mkdir()
        rows = zip(answers.scores, values.tolist(), strict=True)
        write_json_lines(folder / QUESTIONS, ({"id": s.id, "confidence": c} for s, c in rows))
    figures = _figures(answers, found, values, params.bins)
    figures["null_threshold"] = [_null_threshold(found, answers, scoring)] if squad_v2 else []
    write_json(metrics, {"qa": figures})
    curve = _curve(answers.right, values, params.bins)
    write_csv(reliability, _RELIABILITY, [[row[key] for key in _RELIABILITY] for row in curve])
    write_csv(coverage, _COVERAGE, _thinned(answers.right, values))
    return _sentence(figures["confidence"])


def _figures(
    answers: ScoredAnswers, found: Calibration, values: Doubles, bins: int
) -> dict[str, Any]:
    right = answers.right
    versions = {"n-best share": uncalibrated(answers.log_odds)}
    versions |= {"calibrated": values} if found.is_fitted else {}
    return {
        "confidence": [_errors(name, right, each, bins) for name, each in versions.items()],
        "selection": [_selection(right, values)],
        "promise": [_promise(found, answers)],
        "reliability": [
            {"of": name} | row
            for name, each in versions.items()
            for row in _curve(right, each, bins)
        ],
    }


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


def _promise(found: Calibration, answers: ScoredAnswers) -> dict[str, Any]:
    """What was promised, and what came of it on the test questions."""
    row: dict[str, Any] = {
        "precision": 100.0 * found.precision,
        "certainty": 100.0 * found.certainty,
        "validation_passages": found.passages,
        "needed_passages": found.needed,
        "confidence": found.promised,
        "answers": None, "coverage": None, "right": None, "right_low": None, "right_high": None,
    }  # fmt: skip
    if found.threshold is None:
        return row
    kept = answers.log_odds >= found.threshold
    row |= {"answers": int(kept.sum()), "coverage": 100.0 * int(kept.sum()) / len(kept)}
    if kept.any():
        scores = {"right": np.where(answers.right[kept], 100.0, 0.0)}
        passages = Clusters.named(answers.passages.numbers[kept].tolist())
        mean = mean_scores(scores, passages)["right"]
        row |= {"right": mean.value, "right_low": mean.low, "right_high": mean.high}
    return row


def _curve(right: Bools, values: Doubles, bins: int) -> Iterator[dict[str, Any]]:
    for each in reliability_curve(right, values, bins):
        edges = {"low": each.low, "high": each.high}
        yield edges | {"confidence": each.probability, "right": each.share, "answers": each.items}


def _null_threshold(
    found: Calibration, answers: ScoredAnswers, scoring: ScoreParams
) -> dict[str, float | None]:
    """F1 on test with the null threshold that is best on validation, if there is one."""
    threshold, fitted = found.null_threshold, None
    if threshold is not None:
        spans = best_spans(answers.lines)
        margins = np.array([span.margin for span in spans])
        f1s = span_f1s(answers.scores, spans, scoring.normalizer)
        fitted = mean_f1(*f1s, margins, threshold)
    return {"null_threshold": threshold, "f1_with_null_threshold": fitted}


def _thinned(right: Bools, values: Doubles) -> list[tuple[float, float, float]]:
    """The curve of risk and coverage in percent, with at most one point for a whole percent."""
    points = {
        int(100 * each.coverage): (100.0 * each.coverage, 100.0 * each.risk, each.confidence)
        for each in risk_coverage(right, values)
    }
    return [*points.values()]


def _sentence(rows: Sequence[Mapping[str, Any]]) -> str:
    errors = {row["confidence"]: row["expected_calibration_error"] for row in rows}
    text = ", ".join(f"{name} {error:.1f}" for name, error in errors.items())
    return f"expected calibration error in points: {text}"
