"""The stages calibrate and confidence, on planted n-best lists."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retune.core.errors import RetuneError
from retune.core.files import read_json, read_json_lines, write_json, write_json_lines
from retune.core.manifests import seal
from retune.tasks.qa.confidence.calibrate import CalibrateParams, calibrate
from retune.tasks.qa.confidence.calibration import read_calibration
from retune.tasks.qa.confidence.confidence import ConfidenceParams, confidence
from retune.tasks.qa.confidence.log_odds import HIGHEST, LOWEST, log_odds
from retune.tasks.qa.confidence.null_threshold import fit_null_threshold, mean_f1
from retune.tasks.qa.postprocess.postprocess import PostprocessParams
from retune.tasks.qa.questions.examples import Answer, Example, write_examples
from retune.tasks.qa.score.question_scores import QuestionScore, write_question_scores
from retune.tasks.qa.score.score import ScoreParams

PARAMS = CalibrateParams(0.9, 0.95)
READING = PostprocessParams(20, 30, 0.0)
SCORING = ScoreParams("squad")


def candidate(text: str, start: int | None, score: float | None) -> dict[str, Any]:
    half = None if score is None else score / 2
    return {"text": text, "start": start, "start_logit": half, "end_logit": half}


def line(*candidates: dict[str, Any], null_score: float = 0.0) -> dict[str, Any]:
    return {"candidates": list(candidates), "null_score": null_score}


def test_log_odds_compare_an_answer_with_the_other_candidates() -> None:
    found = line(candidate("a", 0, 2.0), candidate("b", 3, 1.0), candidate("c", 5, 1.0))
    assert log_odds(found, "a") == pytest.approx(2 - math.log(2 * math.e), abs=1e-6)
    assert log_odds(found, "b") == pytest.approx(1 - math.log(math.e**2 + math.e), abs=1e-6)


def test_the_shares_of_one_text_in_several_places_are_added() -> None:
    found = line(candidate("a", 0, 2.0), candidate("b", 3, 1.0), candidate("a", 9, 0.0))
    assert log_odds(found, "a") == pytest.approx(math.log(math.e**2 + 1) - 1, abs=1e-6)


def test_the_null_answer_is_a_candidate() -> None:
    found = line(candidate("", None, None), candidate("a", 0, 1.0), null_score=3.0)
    assert log_odds(found, "") == pytest.approx(2)
    assert log_odds(found, "a") == pytest.approx(-2)


def test_log_odds_are_finite() -> None:
    assert log_odds(line(), "") == LOWEST
    assert log_odds(line(candidate("a", 0, 1.0)), "b") == LOWEST
    assert log_odds(line(candidate("a", 0, 1.0)), "a") == HIGHEST
    far = line(candidate("a", 0, 5000.0), candidate("b", 1, -5000.0))
    assert (log_odds(far, "a"), log_odds(far, "b")) == (HIGHEST, LOWEST)


scores = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(-9, 9)), min_size=1, max_size=12
)


@given(scores)
def test_a_null_threshold_is_as_good_as_any(rows: list[tuple[int, int, int]]) -> None:
    spans, nulls, margins = (np.array(column, np.float64) for column in zip(*rows, strict=True))
    spans, nulls = spans / 4, nulls / 4
    found = fit_null_threshold(spans, nulls, margins)
    if len(set(margins.tolist())) < 2:
        assert found is None
        return
    assert found is not None
    best = max(mean_f1(spans, nulls, margins, step / 2 + 0.25) for step in range(-21, 21))
    assert mean_f1(spans, nulls, margins, found) == pytest.approx(best)


class Row(NamedTuple):
    """An answer: its log-odds, whether it is right, and its passage."""

    log_odds: float
    right: bool
    passage: str


def drawn(count: int, each: int, seed: int, *, flat: float = 0.5) -> list[Row]:
    """Answers whose chance to be right is logistic(flat * log-odds + 1)."""
    generator = np.random.default_rng(seed)
    rows = []
    for number in range(count * each):
        value = float(generator.normal(4, 3))
        chance = 1 / (1 + math.exp(-(flat * value + 1)))
        rows.append(Row(value, bool(generator.random() < chance), f"p{number // each}"))
    return rows


class Run:
    """The folders of both stages."""

    def __init__(self, folder: Path, validation: Sequence[Row], test: Sequence[Row]) -> None:
        self.folder = folder
        for name, rows in (("validation", validation), ("test", test)):
            place = folder / name
            place.mkdir()
            write_question_scores(place / "questions.jsonl", map(self.score, range(99999), rows))
            write_json_lines(place / "nbest.jsonl", map(self.line, range(99999), rows))
            write_examples(place / "test.jsonl", map(self.example, range(99999), rows))
            texts = {f"q{number}": self.given(row) for number, row in enumerate(rows)}
            write_json(place / "predictions.json", texts)
            seal(place, {"inputs": {"model": "m1"}, "params": {}})

    @staticmethod
    def given(row: Row) -> str:
        return "x" if row.right else "y"

    @staticmethod
    def example(number: int, row: Row) -> Example:
        context = f"x y {row.passage}"
        return Example(f"q{number}", row.passage, context, "Who?", (Answer("x", 0),))

    def score(self, number: int, row: Row) -> QuestionScore:
        place = f"q{number}", row.passage, row.passage, "Who?"
        return QuestionScore(*place, ("x",), row.right, float(row.right), self.given(row))

    @staticmethod
    def line(number: int, row: Row) -> dict[str, Any]:
        one, other = ("x", "y") if row.right else ("y", "x")
        told = line(candidate(one, 0, row.log_odds), candidate(other, 3, 0.0), null_score=-9.0)
        return {"id": f"q{number}"} | told

    def calibrate(self, *, squad_v2: bool = False) -> str:
        place, out = self.folder / "validation", self.folder / "calibration"
        return calibrate(
            place, place, out, params=PARAMS, reading=READING, scoring=SCORING, squad_v2=squad_v2
        )

    def confidence(self, *, squad_v2: bool = False) -> dict[str, Any]:
        f, names = self.folder, ("m.json", "reliability.csv", "coverage.csv", "confidences")
        test = f / "test"
        confidence(
            test, test, f / "calibration", *(f / n for n in names), params=ConfidenceParams(10),
            scoring=SCORING, squad_v2=squad_v2,
        )  # fmt: skip
        found: dict[str, Any] = read_json(f / "m.json")["qa"]
        return found


def test_confidence_is_fitted_on_validation_and_measured_on_test(tmp_path: Path) -> None:
    run = Run(tmp_path, drawn(200, 5, 1), drawn(200, 5, 2))
    assert run.calibrate().startswith("from confidence ")
    fitted = read_calibration(tmp_path / "calibration")
    assert (fitted.model, fitted.questions, fitted.passages) == ("m1", 1000, 200)
    assert fitted.slope == pytest.approx(0.5, abs=0.1)
    assert fitted.intercept == pytest.approx(1, abs=0.3)
    assert fitted.promised is not None
    found = run.confidence()
    stated, calibrated = found["confidence"]
    assert (stated["confidence"], calibrated["confidence"]) == ("n-best share", "calibrated")
    errors = [row["expected_calibration_error"] for row in (stated, calibrated)]
    assert errors[1] < errors[0] / 2
    assert errors[1] < 2 * calibrated["by_chance"]
    assert calibrated["brier_score"] < stated["brier_score"]
    (promise,) = found["promise"]
    assert promise["confidence"] == fitted.promised
    assert promise["right_low"] <= promise["right"] <= promise["right_high"]
    assert promise["right"] > 90
    (areas,) = found["selection"]
    assert areas["of_perfect_order"] < areas["area_under_risk_coverage"]
    assert areas["area_under_risk_coverage"] < areas["of_equal_confidence"]
    rows = [*read_json_lines(tmp_path / "confidences/questions.jsonl")]
    kept = sum(row["confidence"] >= fitted.promised for row in rows)
    assert (len(rows), kept) == (1000, promise["answers"])
    assert sum(row["answers"] for row in found["reliability"]) == 2 * 1000
    coverage = (tmp_path / "coverage.csv").read_text().splitlines()
    assert coverage[0] == "coverage,wrong,confidence"
    assert len(coverage) <= 102
    assert float(coverage[-1].split(",")[0]) == 100


def test_a_few_passages_give_no_promise_but_the_number_needed(tmp_path: Path) -> None:
    run = Run(tmp_path, drawn(20, 5, 1), drawn(20, 5, 2))
    assert "20 validation passages are too few to find a confidence from which" in run.calibrate()
    (promise,) = run.confidence()["promise"]
    assert promise["confidence"] is promise["answers"] is None
    assert promise["needed_passages"] > 20


def test_a_weak_model_gets_no_promise(tmp_path: Path) -> None:
    wrong = [row._replace(right=number % 3 == 0) for number, row in enumerate(drawn(60, 5, 1))]
    run = Run(tmp_path, wrong, wrong)
    assert run.calibrate() == (
        "there is no confidence from which on at least 90 % of the answers are right (certainty "
        "95 %)"
    )
    assert run.confidence()["promise"][0]["needed_passages"] is None


def test_without_validation_questions_the_share_is_stated_as_it_is(tmp_path: Path) -> None:
    run = Run(tmp_path, [], drawn(20, 5, 2))
    assert run.calibrate() == "no validation split, so confidence is not calibrated"
    (only,) = run.confidence()["confidence"]
    assert only["confidence"] == "n-best share"


def test_a_null_threshold_is_fitted_on_validation_and_scored_on_test(tmp_path: Path) -> None:
    run = Run(tmp_path, drawn(20, 5, 1), drawn(20, 5, 2))
    run.calibrate(squad_v2=True)
    (found,) = run.confidence(squad_v2=True)["null_threshold"]
    assert found["null_threshold"] == read_calibration(tmp_path / "calibration").null_threshold
    # Each question has an answer, so that each span is given.
    right = [row.right for row in drawn(20, 5, 2)]
    assert found["f1_with_null_threshold"] == pytest.approx(100 * np.mean(right))


def test_equal_null_scores_give_no_null_threshold(tmp_path: Path) -> None:
    equal = [row._replace(log_odds=4.0) for row in drawn(20, 5, 1)]
    run = Run(tmp_path, equal, equal)
    assert run.calibrate(squad_v2=True).endswith(
        "; all null scores are equal, so there is no best null threshold"
    )
    assert run.confidence(squad_v2=True)["null_threshold"] == [
        {"null_threshold": None, "f1_with_null_threshold": None}
    ]


def test_a_model_that_is_always_right_is_promised(tmp_path: Path) -> None:
    right = [row._replace(right=True) for row in drawn(100, 5, 1)]
    run = Run(tmp_path, right, right)
    assert run.calibrate().startswith("from confidence ")
    (promise,) = run.confidence()["promise"]
    assert promise["right"] == 100
    assert promise["coverage"] > 99


def test_one_answer_far_out_does_not_decide_the_fit(tmp_path: Path) -> None:
    rows = drawn(100, 5, 1)
    (tmp_path / "plain").mkdir()
    (tmp_path / "odd").mkdir()
    slopes = []
    for name, more in (("plain", []), ("odd", [Row(9000.0, False, "p0")])):
        run = Run(tmp_path / name, [*rows, *more], rows)
        run.calibrate()
        slopes.append(read_calibration(tmp_path / name / "calibration").slope or 0.0)
    assert slopes[1] == pytest.approx(slopes[0], rel=0.1)


def test_a_damaged_calibration_is_refused(tmp_path: Path) -> None:
    (tmp_path / "calibration.json").write_text("{}")
    with pytest.raises(RetuneError, match=r"calibration.json: damaged, or written by another ver"):
        read_calibration(tmp_path)


def test_answers_to_other_questions_are_refused(tmp_path: Path) -> None:
    run = Run(tmp_path, drawn(5, 5, 1), drawn(5, 5, 2))
    run.calibrate()
    lines = [*read_json_lines(tmp_path / "test/nbest.jsonl")]
    write_json_lines(tmp_path / "test/nbest.jsonl", lines[1:])
    with pytest.raises(RetuneError, match="test are of different questions; run `dvc repro`"):
        run.confidence()
    with pytest.raises(RetuneError, match="test are of different questions; run `dvc repro`"):
        calibrate(
            tmp_path / "validation", tmp_path / "test", tmp_path / "out", params=PARAMS,
            reading=READING, scoring=SCORING, squad_v2=False,
        )  # fmt: skip
