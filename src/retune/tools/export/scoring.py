"""Score an exported model as the stages score the model of a run."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from retune.core.artifacts import sealed
from retune.core.params import Params
from retune.inference.exported import load_exported
from retune.stats.paired import Difference
from retune.tasks.qa.confidence.calibrate import CalibrateParams, calibrate
from retune.tasks.qa.postprocess.postprocess import PostprocessParams, postprocess
from retune.tasks.qa.predict.predict import PredictParams, predict
from retune.tasks.qa.questions.splits import Keep
from retune.tasks.qa.score.question_scores import read_question_scores
from retune.tasks.qa.score.score import QUESTIONS, ScoreParams, score
from retune.tasks.qa.validate.validate import validate
from retune.tools.compare.systems import System, compared
from retune.tools.compare.verdicts import against

if TYPE_CHECKING:
    from transformers import PreTrainedModel

#: Names of the two systems that are compared.
ORIGINAL, EXPORTED = "original", "export"


@dataclass(frozen=True)
class Results:
    """Folders of a pipeline's last run, or of an export: `data/qa` and the like.

    Attributes:
        folder: with all others.
    """

    folder: Path

    def __truediv__(self, name: str) -> Path:
        """Return the folder of a stage's output."""
        return self.folder / name

    def scores(self, split: str) -> Path:
        """Return the file with the score of each question of a split."""
        name = "validation_scores" if split == "validation" else "scores"
        return self.folder / name / QUESTIONS


@dataclass(frozen=True)
class Settings:
    """The sections of the params file that the stages read."""

    predict: PredictParams
    postprocess: PostprocessParams
    score: ScoreParams
    calibrate: CalibrateParams
    squad_v2: bool
    keep: Keep
    read: dict[str, object]


def read_settings(params: Params) -> Settings:
    """Read the settings of the stages.

    Raises:
        RetuneError: a section is missing or wrong.
    """
    with params:
        return Settings(
            params.section("qa.predict", PredictParams),
            params.section("qa.postprocess", PostprocessParams),
            params.section("qa.score", ScoreParams),
            params.section("qa.calibrate", CalibrateParams),
            params.section("qa.squad_v2", bool),
            params.section("qa.train.keep", Keep),  # type: ignore[arg-type]
            params.read,
        )


def score_test(run: Results, export: Results, settings: Settings) -> None:
    """Answer and score the test questions of a run by an export."""
    load = _loader(export)
    features, logits = run / "test_features", export / "logits"
    predictions, scores = export / "predictions", export / "scores"
    metrics = export / "scores.json"
    with sealed(
        settings.read,
        reads={"test_features": features, "model": export / "model"},
        writes={"logits": logits},
    ):
        predict(features, load(), logits, settings.predict)
    with sealed(
        settings.read,
        reads={"raw": run / "test", "test_features": features, "logits": logits},
        writes={"predictions": predictions},
    ):
        postprocess(
            run / "test", features, logits, predictions, settings.postprocess,
            squad_v2=settings.squad_v2,
        )  # fmt: skip
    with sealed(
        settings.read,
        reads={"raw": run / "test", "predictions": predictions},
        writes={"scores": scores},
        reports=[metrics],
    ):
        score(
            run / "test", predictions, metrics, scores, settings.score,
            squad_v2=settings.squad_v2, keep=settings.keep,
        )  # fmt: skip


def score_validation(run: Results, export: Results, settings: Settings) -> None:
    """Score the validation questions by an export, and fit its confidence."""
    questions, n_best = export / "validation_scores", export / "validation_n_best"
    with sealed(
        settings.read,
        reads={"raw": run / "raw", "features": run / "features", "model": export / "model"},
        writes={"questions": questions, "n_best": n_best},
        reports=[export / "validation_scores.json"],
    ):
        validate(
            run / "raw", run / "features", _loader(export), export / "validation_scores.json",
            questions, n_best, prediction=settings.predict, reading=settings.postprocess,
            scoring=settings.score, squad_v2=settings.squad_v2,
        )  # fmt: skip
    with sealed(
        settings.read,
        reads={"validation": questions, "n_best": n_best},
        writes={"calibration": export / "calibration"},
    ):
        calibrate(
            questions, n_best, export / "calibration", params=settings.calibrate,
            reading=settings.postprocess, scoring=settings.score, squad_v2=settings.squad_v2,
        )  # fmt: skip


def difference(run: Results, export: Results, split: str) -> Difference | None:
    """Return how much higher the F1 of an export is, in points; None without questions.

    Raises:
        RetuneError: the two did not answer the same questions.
    """
    both = {ORIGINAL: run, EXPORTED: export}
    scores = {name: [*read_question_scores(each.scores(split))] for name, each in both.items()}
    if not scores[ORIGINAL]:
        return None
    result = compared([System(name, [questions]) for name, questions in scores.items()])
    return against(result, ORIGINAL)


def mean_f1(results: Results, split: str) -> float:
    """Return the F1 of a split, in percent."""
    scores = [question.f1 for question in read_question_scores(results.scores(split))]
    return 100 * sum(scores) / len(scores)


def _loader(export: Results) -> "Callable[[], PreTrainedModel]":
    return partial(load_exported, export / "model")
