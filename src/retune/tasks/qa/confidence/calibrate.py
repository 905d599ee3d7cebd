"""Stage `calibrate`: fit confidence on the validation questions.

Three things are fitted, and the test questions have no part in them: the confidence (Platt 1999),
the threshold above which answers are promised right (`retune.stats.risk_control`), and for SQuAD
2.0 the null threshold. The validation questions also chose the epoch, unless `qa.train.keep` is
`last`, so the model may be a little surer on them than elsewhere.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from retune.core import manifests
from retune.core.files import atomic_path
from retune.core.params import STRICT
from retune.stats.calibration import fit_platt_scaling
from retune.stats.risk_control import promised_threshold
from retune.tasks.qa.confidence.calibration import Calibration, write_calibration
from retune.tasks.qa.confidence.null_threshold import best_spans, fit_null_threshold, span_f1s
from retune.tasks.qa.confidence.scored_answers import ScoredAnswers, read_scored_answers
from retune.tasks.qa.postprocess.postprocess import PostprocessParams
from retune.tasks.qa.score.score import ScoreParams

Share = Annotated[float, Field(gt=0, lt=1)]


@dataclass(frozen=True, config=STRICT)
class CalibrateParams:
    """Section `qa.calibrate`.

    A threshold is sought above which, with probability `certainty`, at least the share `precision`
    of the answers is right.
    """

    precision: Share
    certainty: Share


def calibrate(
    validation: Path,
    n_best: Path,
    calibration: Path,
    *,
    params: CalibrateParams,
    reading: PostprocessParams,
    scoring: ScoreParams,
    squad_v2: bool,
) -> str:
    """Fit confidence on the scores in `validation` and the n-best lists; write `calibration`.

    Raises:
        RetuneError: the two are of different questions.
    """
    answers = read_scored_answers(validation, n_best)
    found = Calibration(
        model=manifests.read(n_best)["inputs"]["model"],
        questions=len(answers.scores),
        passages=len(answers.passages),
        reading=asdict(reading),
        precision=params.precision,
        certainty=params.certainty,
        null_threshold=_null_threshold(answers, scoring) if squad_v2 else None,
        **_fitted(answers, params),
    )
    with atomic_path(calibration) as folder:
        folder.mkdir()
        write_calibration(folder, found)
    unfitted = squad_v2 and found.is_fitted and found.null_threshold is None
    doubt = "; all null scores are equal, so there is no best null threshold" if unfitted else ""
    return _sentence(found) + doubt


def _fitted(answers: ScoredAnswers, params: CalibrateParams) -> dict[str, Any]:
    if not answers.scores:
        return dict.fromkeys(("slope", "intercept", "threshold", "needed"))
    scaling = fit_platt_scaling(answers.log_odds, answers.right)
    promise = promised_threshold(
        answers.log_odds,
        answers.right,
        answers.passages,
        precision=params.precision,
        certainty=params.certainty,
    )
    return {
        "slope": scaling.slope,
        "intercept": scaling.intercept,
        "threshold": promise.threshold,
        "needed": promise.needed,
    }


def _null_threshold(answers: ScoredAnswers, scoring: ScoreParams) -> float | None:
    spans = best_spans(answers.lines)
    margins = np.array([span.margin for span in spans], np.float64)
    return fit_null_threshold(*span_f1s(answers.scores, spans, scoring.normalizer), margins)


def _sentence(found: Calibration) -> str:
    if not found.is_fitted:
        return "no validation split, so confidence is not calibrated"
    right = f"{100 * found.precision:g} % of the answers are right"
    certainty = f"(certainty {100 * found.certainty:g} %)"
    if found.promised is not None:
        return f"from confidence {found.promised:.3f} on, at least {right} {certainty}"
    if found.needed is None:
        return f"there is no confidence from which on at least {right} {certainty}"
    return (
        f"{found.passages:,} validation passages are too few to find a confidence from which on at "
        f"least {right} {certainty}; about {found.needed:,} like these are needed"
    )
