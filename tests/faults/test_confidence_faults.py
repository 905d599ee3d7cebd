"""Calibrations that do not belong to the model that is asked."""

from pathlib import Path
from typing import Any

import pytest

from retune.core.errors import RetuneError
from retune.core.manifests import digest, seal
from retune.inference.confidence import PROMISED, trust_in
from retune.tasks.qa.confidence.calibration import Calibration, write_calibration
from retune.tasks.qa.postprocess.postprocess import PostprocessParams

READING = PostprocessParams(20, 30, 0.0)


def calibrated(folder: Path, **changes: Any) -> Path:
    """A model with a calibration beside it."""
    model, calibration = folder / "model", folder / "calibration"
    model.mkdir()
    calibration.mkdir()
    seal(model, {"inputs": {}, "params": {}})
    values: dict[str, Any] = {
        "model": digest(model), "questions": 50, "passages": 10, "slope": 0.5, "intercept": 0.1,
        "reading": {"n_best": 20, "max_answer_length": 30, "null_threshold": 0.0},
        "precision": 0.9, "certainty": 0.95, "threshold": None, "needed": 60,
        "null_threshold": None,
    }  # fmt: skip
    write_calibration(calibration, Calibration(**(values | changes)))
    seal(calibration, {"inputs": {}, "params": {}})
    return model


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"model": "other"}, "of another model; run", id="Q36 another model"),
        pytest.param({"reading": {"n_best": 5}}, "of other settings in qa.postprocess; run",
                     id="Q36 other settings"),
        pytest.param({"slope": None}, "the data has no validation split", id="Q36 not fitted"),
    ],
)  # fmt: skip
def test_a_calibration_that_does_not_fit_counts_as_none(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    model = calibrated(tmp_path, **changes)
    assert trust_in(model, READING, None).calibration is None
    with pytest.raises(RetuneError, match=f"min_confidence needs a calibrated .*{message}"):
        trust_in(model, READING, "0.5")


def test_q37_too_few_passages_promise_no_confidence(tmp_path: Path) -> None:
    model = calibrated(tmp_path)
    with pytest.raises(RetuneError, match=r"10 validation passages are too few .* about 60 are"):
        trust_in(model, READING, PROMISED)


def test_q38_a_damaged_calibration_is_refused(tmp_path: Path) -> None:
    model = calibrated(tmp_path)
    (tmp_path / "calibration/calibration.json").write_text("{}", encoding="utf-8")
    with pytest.raises(RetuneError, match=r"calibration.json: damaged or changed since"):
        trust_in(model, READING, None)
