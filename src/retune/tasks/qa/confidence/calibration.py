"""What the stage `calibrate` finds, and its file."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retune.core.errors import RetuneError
from retune.core.files import read_json, write_json
from retune.core.numerics import Doubles
from retune.stats.calibration import PlattScaling

NAME = "calibration.json"
_DIGITS = 9
_PLAIN = PlattScaling(1.0, 0.0)  # the share among the n best, as it is


@dataclass(frozen=True)
class Calibration:
    """How log-odds become a confidence, and from which confidence on answers are promised right.

    Attributes:
        model: SHA-256 of the manifest of the model whose answers were used.
        questions: how many validation questions were used.
        passages: how many passages they have.
        reading: the settings by which their answers were found.
        slope: of the logistic function; None without validation questions.
        intercept: likewise.
        precision: the share of the answers above the threshold that shall be right.
        certainty: how probable it shall be that this share is reached.
        threshold: lowest log-odds of promised answers; None if none can be promised.
        needed: how many passages like these would give a threshold; None if there is one, or if a
            hundred times as many would not.
        null_threshold: the value of `qa.postprocess.null_threshold` that is best on validation;
            None in a SQuAD 1.1 run, or if the null scores do not tell questions apart.
    """

    model: str
    questions: int
    passages: int
    reading: dict[str, Any]
    slope: float | None
    intercept: float | None
    precision: float
    certainty: float
    threshold: float | None
    needed: int | None
    null_threshold: float | None

    @property
    def is_fitted(self) -> bool:
        """Whether there were validation questions to fit it on."""
        return self.slope is not None

    @property
    def promised(self) -> float | None:
        """The confidence at the threshold, from which on answers are promised."""
        if self.threshold is None:
            return None
        return float(self.confidence(np.array([self.threshold]))[0])

    def confidence(self, log_odds: Doubles) -> Doubles:
        """Return the confidence (N,) from 0 to 1; uncalibrated if nothing was fitted."""
        if self.slope is None or self.intercept is None:
            return uncalibrated(log_odds)
        return PlattScaling(self.slope, self.intercept)(log_odds).round(_DIGITS)


def uncalibrated(log_odds: Doubles) -> Doubles:
    """Return the share of the answers among their candidates, as the model states it."""
    return _PLAIN(log_odds).round(_DIGITS)


def write_calibration(folder: Path, calibration: Calibration) -> None:
    """Write the file into `folder`."""
    write_json(folder / NAME, asdict(calibration))


def read_calibration(folder: Path) -> Calibration:
    """Read what `write_calibration` wrote.

    Raises:
        RetuneError: the file is of another form.
    """
    try:
        return Calibration(**read_json(folder / NAME))
    except TypeError:
        raise RetuneError(
            f"{folder / NAME}: damaged, or written by another version; run `dvc repro calibrate`"
        ) from None
