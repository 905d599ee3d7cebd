"""The section on confidence, from the figures that its stage writes."""

from pathlib import Path
from typing import Any

import pytest

from retune.tools.report.content import Lines, Remark
from retune.tools.report.task_sections._trust import trust

SHARE = {"confidence": "n-best share", "expected_calibration_error": 10.06, "by_chance": 5.2}
CALIBRATED = {"confidence": "calibrated", "expected_calibration_error": 5.48, "by_chance": 4.9}
PROMISE: dict[str, Any] = {
    "precision": 90.0, "certainty": 95.0, "validation_passages": 50, "needed_passages": 1234,
    "confidence": None, "answers": None, "coverage": None, "right": None,
}  # fmt: skip


def told(tmp_path: Path, **changes: Any) -> tuple[list[Lines], str]:
    figures = {
        "confidence": [SHARE, CALIBRATED],
        "selection": [{"area_under_risk_coverage": 0.392, "of_equal_confidence": 0.574,
                       "of_perfect_order": 0.211}],
        "promise": [PROMISE],
        "reliability": [
            {"of": "n-best share", "confidence": 0.2, "right": 0.1},
            {"of": "n-best share", "confidence": 0.9, "right": 0.6},
            {"of": "calibrated", "confidence": 0.4, "right": 0.4},
        ],
        "null_threshold": [],
    } | changes  # fmt: skip
    curve = tmp_path / "coverage.csv"
    curve.write_text("coverage,wrong,confidence\n50,10,0.9\n100,40,0.1\n", encoding="utf-8")
    blocks = [*trust(figures, curve)]
    remarks = " ".join(block.text for block in blocks if isinstance(block, Remark))
    return [block for block in blocks if isinstance(block, Lines)], remarks


def test_reliability_and_risk_are_drawn(tmp_path: Path) -> None:
    (reliability, risk), remarks = told(tmp_path)
    assert [line.group for line in reliability.lines] == ["n-best share", "calibrated"]
    assert reliability.lines[0].points == ((0.2, 0.1), (0.9, 0.6))
    assert reliability.diagonal
    assert risk.lines[0].points == ((50.0, 10.0), (100.0, 40.0))
    assert "n-best share is 10.1 points, that of the calibrated confidence 5.5. " in remarks
    assert "(AURC) is 0.392. It is 0.574 in random order, and 0.211 if" in remarks
    assert "50 validation passages are too few to find a confidence from which on at " in remarks
    assert remarks.endswith("(certainty 95 %). About 1,234 like these are needed.")


@pytest.mark.parametrize(
    ("changes", "remark"),
    [
        ({"confidence": [SHARE]}, "Without a validation split, confidence is not calibrated."),
        ({"promise": [PROMISE | {"needed_passages": None}]},
         "There is no confidence from which on at least 90 % of the answers are right"),
        ({"promise": [PROMISE | {"confidence": 0.8, "coverage": 30.0, "right": 93.3}]},
         "From confidence 0.800 on, at least 90 % of the answers are right (certainty 95 %). On "
         "test, 30.0 % of the answers reach it; 93.3 % of these are right."),
        ({"promise": [PROMISE | {"confidence": 0.8, "coverage": 0.0}]},
         "On test, 0.0 % of the answers reach it."),
        ({"null_threshold": [{"null_threshold": -1.5, "f1_with_null_threshold": 61.234}]},
         "qa.postprocess.null_threshold: -1.5 gives the best F1; with it, F1 on test is 61.23."),
        ({"null_threshold": [{"null_threshold": None, "f1_with_null_threshold": None}]},
         "No null threshold is fitted: the null scores on validation are all equal."),
    ],
)  # fmt: skip
def test_what_is_promised_is_said(changes: dict[str, Any], remark: str, tmp_path: Path) -> None:
    assert remark in told(tmp_path, **changes)[1]
