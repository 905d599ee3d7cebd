"""Confidence: the figures of the stage `confidence` as charts."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from retune.tools.report.content import Block, Line, Lines, Remark

#: Lists in the metrics of the stage, which are drawn here.
CLAIMED = ("confidence", "selection", "promise", "reliability", "null_threshold")
METRICS = "metrics/qa_confidence.json"
COVERAGE = "metrics/qa_risk_coverage.csv"


def trust(figures: Mapping[str, Any], coverage: Path) -> Iterator[Block]:
    """Yield the reliability of confidence, risk against coverage, and what is promised.

    Args:
        figures: in the metrics of the stage.
        coverage: the file with the curve of risk and coverage.
    """
    curves: dict[str, list[tuple[float, float]]] = {}
    for row in figures["reliability"]:
        curves.setdefault(row["of"], []).append((row["confidence"], row["right"]))
    lines = tuple(Line(name, tuple(curve)) for name, curve in curves.items())
    yield Lines("Reliability", "confidence", "share of right answers", lines, diagonal=True)
    yield Remark(_errors(figures["confidence"]))
    with coverage.open(encoding="utf-8", newline="") as file:
        points = tuple((float(r["coverage"]), float(r["wrong"])) for r in csv.DictReader(file))
    yield Lines(
        "Risk against coverage", "answers given, in percent of the questions",
        "wrong answers, in percent of those given", (Line("surest answers first", points),),
    )  # fmt: skip
    (areas,) = figures["selection"]
    yield Remark(
        f"The area below this curve (AURC) is {areas['area_under_risk_coverage']:.3f}. It is "
        f"{areas['of_equal_confidence']:.3f} in random order, and {areas['of_perfect_order']:.3f} "
        "if all right answers come before all wrong ones."
    )
    yield Remark(_promise(figures["promise"][0]))
    yield from (Remark(_null_threshold(row)) for row in figures["null_threshold"])


def _errors(rows: Sequence[Mapping[str, Any]]) -> str:
    share, *calibrated = rows
    stated = (
        f"The expected calibration error of the n-best share is "
        f"{share['expected_calibration_error']:.1f} points"
    )
    if not calibrated:
        return f"{stated}. Without a validation split, confidence is not calibrated."
    (row,) = calibrated
    return (
        f"{stated}, that of the calibrated confidence {row['expected_calibration_error']:.1f}. "
        f"Perfect confidence would have {row['by_chance']:.1f} by chance, because bins have few "
        "answers, and more if answers about one passage are right together."
    )


def _promise(row: Mapping[str, Any]) -> str:
    asked = f"at least {row['precision']:g} % of the answers are right"
    certainty = f"certainty {row['certainty']:g} %"
    if row["confidence"] is not None:
        came = "" if row["right"] is None else f"; {row['right']:.1f} % of these are right"
        return (
            f"From confidence {row['confidence']:.3f} on, {asked} ({certainty}). On test, "
            f"{row['coverage']:.1f} % of the answers reach it{came}."
        )
    if row["needed_passages"] is None:
        return f"There is no confidence from which on {asked} ({certainty})."
    return (
        f"{row['validation_passages']:,} validation passages are too few to find a confidence from "
        f"which on {asked} ({certainty}). About {row['needed_passages']:,} like these are needed."
    )


def _null_threshold(row: Mapping[str, Any]) -> str:
    if row["null_threshold"] is None:
        return "No null threshold is fitted: the null scores on validation are all equal."
    return (
        f"On validation, qa.postprocess.null_threshold: {row['null_threshold']:g} gives the best "
        f"F1; with it, F1 on test is {row['f1_with_null_threshold']:.2f}."
    )
