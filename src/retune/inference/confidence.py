"""The confidence of answers, and answers that are withheld for too little of it."""

from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from retune.core import manifests
from retune.core.errors import RetuneError, excerpt
from retune.inference.published import is_published, read_record
from retune.tasks.qa.confidence.calibration import NAME, Calibration, read_calibration
from retune.tasks.qa.confidence.log_odds import log_odds
from retune.tasks.qa.postprocess.answers import RankedAnswer
from retune.tasks.qa.postprocess.postprocess import PostprocessParams

#: The value of `--min-confidence` that stands for the promised threshold.
PROMISED = "promised"
#: Folder beside the model, or in a published one.
CALIBRATION = "calibration"


class Stated(NamedTuple):
    """What is known of one answer.

    Attributes:
        confidence: from 0 to 1; None if the model is not calibrated.
        is_withheld: whether it is less than what was asked for.
    """

    confidence: float | None
    is_withheld: bool


class Trust(NamedTuple):
    """How the confidence of an answer is found.

    Attributes:
        calibration: of the model; None if it has none.
        min_confidence: answers of less confidence are withheld; None keeps all.
        min_log_odds: likewise, for the promised threshold, which confidence may round.
    """

    calibration: Calibration | None = None
    min_confidence: float | None = None
    min_log_odds: float | None = None

    def state(self, answer: RankedAnswer) -> Stated:
        """Return the confidence of an answer, and whether it is withheld."""
        if self.calibration is None:
            return Stated(None, False)
        value = log_odds(answer.line(), answer.text)
        confidence = float(self.calibration.confidence(np.array([value]))[0])
        if self.min_log_odds is not None:
            return Stated(confidence, value < self.min_log_odds)
        is_less = self.min_confidence is not None and confidence < self.min_confidence
        return Stated(confidence, is_less)


def trust_in(model: Path, reading: PostprocessParams, min_confidence: str | None) -> Trust:
    """Read the calibration beside the folder `model`, or in it if it was published.

    A calibration of another model, or of answers that were found by other settings, counts as none,
    because a new training or setting makes it outdated.

    Args:
        model: folder that a train stage wrote.
        reading: by which answers are found.
        min_confidence: the value of `--min-confidence`.

    Raises:
        RetuneError: the calibration is damaged, or `min_confidence` is no confidence, or needs a
            calibration that is not there.
    """
    published = is_published(model)
    folder = (model if published else model.parent) / CALIBRATION
    if not folder.is_dir():
        why = f"{folder}: no such folder; the stage `calibrate` of question answering makes it"
        return _with(None, why, min_confidence)
    manifests.read(folder)
    found = read_calibration(folder)
    if found.model != (read_record(model).model if published else manifests.digest(model)):
        why = f"{folder / NAME}: of another model; run `dvc repro calibrate`"
    elif found.reading != asdict(reading):
        why = f"{folder / NAME}: of other settings in qa.postprocess; run `dvc repro calibrate`"
    elif not found.is_fitted:
        why = f"{folder / NAME}: not fitted, because the data has no validation split"
    else:
        return _with(found, "", min_confidence)
    return _with(None, why, min_confidence)


def _with(found: Calibration | None, why: str, text: str | None) -> Trust:
    if text is None:
        return Trust(found)
    if found is None:
        raise RetuneError(f"min_confidence needs a calibrated model. {why}")
    if text == PROMISED:
        return Trust(found, found.promised, _promised(found))
    try:
        least = float(text)
    except ValueError:
        least = -1.0
    if not 0 <= least <= 1:
        raise RetuneError(
            f"min_confidence: {excerpt(text)} is not a number from 0 to 1, nor {PROMISED!r}"
        )
    return Trust(found, least)


def _promised(found: Calibration) -> float:
    if found.threshold is not None:
        return found.threshold
    right = f"{100 * found.precision:g} % of the answers are right"
    if found.needed is None:
        reason = f"no confidence of this model shows that {right}"
    else:
        reason = (
            f"{found.passages:,} validation passages are too few to show that {right}; about "
            f"{found.needed:,} are needed"
        )
    raise RetuneError(f"min_confidence {PROMISED}: {reason}. Give a number from 0 to 1")
