"""Stage `calibrate`: fit confidence on the validation questions.

Three things are fitted, and the test questions have no part in them: the confidence (Platt 1999),
the threshold above which answers are promised right (`retune.stats.risk_control`), and for SQuAD
2.0 the null threshold. The validation questions also chose the epoch, unless `qa.train.keep` is
`last`, so the model may be a little surer on them than elsewhere.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from retune.core import manifests
from retune.core.files import atomic_path, read_json_lines
from retune.core.params import STRICT, Positive
from retune.stats.calibration import fit_platt_scaling
from retune.stats.clusters import Clusters
from retune.stats.risk_control import promised_threshold
from retune.tasks.qa.confidence.calibration import Calibration, write_calibration
from retune.tasks.qa.confidence.log_odds import log_odds
from retune.tasks.qa.confidence.null_threshold import best_spans, fit_null_threshold, span_f1s
from retune.tasks.qa.postprocess.postprocess import N_BEST
from retune.tasks.qa.score.question_scores import QuestionScore, read_question_scores
from retune.tasks.qa.score.score import QUESTIONS, ScoreParams

Share = Annotated[float, Field(gt=0, lt=1)]


@dataclass(frozen=True, config=STRICT)
class ConfidenceParams:
    """Section `qa.confidence`.

    A threshold is sought above which, with probability `certainty`, at least the share `precision`
    of the answers is right. The reliability curve has `bins` of equal width.
    """

    precision: Share
    certainty: Share
    bins: Positive


def calibrate(
    validation: Path,
    n_best: Path,
    calibration: Path,
    params: ConfidenceParams,
    scoring: ScoreParams,
    *,
    squad_v2: bool,
) -> str:
    """Fit confidence on the scores in `validation` and the n-best lists; write `calibration`."""
    scores = read_question_scores(validation / QUESTIONS)
    lines = [*read_json_lines(n_best / N_BEST)]
    found = _fitted(
        manifests.read(n_best)["inputs"]["model"], scores, lines, params, scoring,
        squad_v2=squad_v2,
    )  # fmt: skip
    with atomic_path(calibration) as folder:
        folder.mkdir()
        write_calibration(folder, found)
    return _sentence(found)


def _fitted(
    model: str,
    scores: list[QuestionScore],
    lines: list[dict[str, object]],
    params: ConfidenceParams,
    scoring: ScoreParams,
    *,
    squad_v2: bool,
) -> Calibration:
    asked = params.precision, params.certainty
    if not scores:
        return Calibration(model, 0, 0, None, None, *asked, None, None, None)
    values = np.array([log_odds(line, s.answer) for line, s in zip(lines, scores, strict=True)])
    right = np.array([score.exact_match for score in scores])
    passages = Clusters.named([score.passage for score in scores])
    scaling = fit_platt_scaling(values, right)
    promise = promised_threshold(
        values, right, passages, precision=params.precision, certainty=params.certainty
    )
    null_threshold = None
    if squad_v2:
        spans = best_spans(lines)
        margins = np.array([span.margin for span in spans])
        null_threshold = fit_null_threshold(*span_f1s(scores, spans, scoring.normalizer), margins)
    return Calibration(
        model, len(scores), len(passages), scaling.slope, scaling.intercept, *asked,
        promise.threshold, promise.needed, null_threshold,
    )  # fmt: skip


def _sentence(found: Calibration) -> str:
    if not found.is_fitted:
        return "no validation split, so that confidence is not calibrated"
    asked = f"{found.precision:.0%} of the answers (certainty {found.certainty:.0%})"
    if found.promised is not None:
        return f"from confidence {found.promised:.1%} on, at least {asked} are right"
    if found.needed is None:
        return f"no confidence above which {asked} are right"
    return (
        f"{found.passages:,} validation passages are too few to find a confidence above which "
        f"{asked} are right; about {found.needed:,} would do"
    )
