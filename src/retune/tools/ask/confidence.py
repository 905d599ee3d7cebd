"""The confidence of answers, and answers that are withheld for too little of it."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from retune.core import manifests
from retune.core.errors import RetuneError, excerpt
from retune.tasks.qa.confidence.calibration import NAME, Calibration, read_calibration
from retune.tasks.qa.confidence.log_odds import log_odds
from retune.tasks.qa.postprocess.answers import RankedAnswer

#: The value of `--min-confidence` that stands for the promised threshold.
PROMISED = "promised"
_FOLDER = "calibration"  # beside the model


class Trust(NamedTuple):
    """How the confidence of an answer is found.

    Attributes:
        calibration: of the model; None if it has none.
        least: answers of less confidence are withheld; None keeps all.
    """

    calibration: Calibration | None
    least: float | None

    def confidence(self, answer: RankedAnswer) -> float | None:
        """Return the calibrated confidence of an answer, if the model is calibrated."""
        if self.calibration is None:
            return None
        value = log_odds(answer.line(), answer.text)
        return float(self.calibration.confidence(np.array([value]))[0])

    def withholds(self, confidence: float | None) -> bool:
        """Return whether an answer of this confidence is withheld."""
        return self.least is not None and (confidence or 0.0) < self.least


def trust_in(model: Path, least: str | None) -> Trust:
    """Read the calibration beside the folder `model`.

    A calibration of another model counts as none, because a new training makes it outdated.

    Args:
        model: folder that a train stage wrote.
        least: the value of `--min-confidence`.

    Raises:
        RetuneError: `least` is no confidence, or needs a calibration that is not there.
    """
    folder = model.parent / _FOLDER
    found = read_calibration(folder) if (folder / NAME).is_file() else None
    if found and not (found.is_fitted and found.model == manifests.digest(model)):
        found = None
    return Trust(found, None if least is None else _least(least, found, folder))


def _least(text: str, found: Calibration | None, folder: Path) -> float:
    if found is None:
        raise RetuneError(
            f"--min-confidence: {folder} has no calibration of this model; `dvc repro calibrate` "
            "makes it from the validation questions"
        )
    if text == PROMISED:
        return _promised(found)
    try:
        least = float(text)
    except ValueError:
        least = -1.0
    if not 0 <= least <= 1:
        raise RetuneError(
            f"--min-confidence: {excerpt(text)} is not a number from 0 to 1, nor {PROMISED!r}"
        )
    return least


def _promised(found: Calibration) -> float:
    if found.promised is not None:
        return found.promised
    needed = (
        "this model is too often wrong at any confidence"
        if found.needed is None
        else f"about {found.needed:,} would be needed"
    )
    raise RetuneError(
        f"--min-confidence {PROMISED}: {found.passages:,} validation passages show no confidence "
        f"from which on {found.precision:.0%} of the answers are right; {needed}. Give a number"
    )
