"""Stage `validate`: score the validation split as the test split is scored.

Its figures are better than those of the test split as far as the epoch was chosen by them. The
difference, the optimism, is in the report. The stage is one of its own, so that no stage before
`predict` has to see a test question, and none of the test split's stages a validation question.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retune.core.files import atomic_path, write_json, write_json_lines
from retune.processes.share import ALONE, Share
from retune.tasks.qa.postprocess.postprocess import N_BEST, PostprocessParams, postprocess
from retune.tasks.qa.predict.predict import PredictParams, predict
from retune.tasks.qa.score.question_scores import write_question_scores
from retune.tasks.qa.score.score import QUESTIONS, ScoreParams, figures, scored

if TYPE_CHECKING:
    from transformers import PreTrainedModel

SPLIT = "validation"
HEADLINE = ("exact_match", "f1")


def validate(
    raw: Path,
    features: Path,
    load: Callable[[], "PreTrainedModel"],
    metrics: Path,
    questions: Path,
    n_best: Path | None,
    *,
    prediction: PredictParams,
    reading: PostprocessParams,
    scoring: ScoreParams,
    squad_v2: bool,
    share: Share = ALONE,
) -> str:
    """Answer and score the validation questions with the model that `load` returns.

    `metrics` gets the figures, the folder `questions` the score of each question, and the folder
    `n_best` the n-best list of each, if it is given. Without a validation split, the figures are
    null and there are no questions. Several processes compute the logits together; the first one
    does the rest.
    """
    if not (raw / f"{SPLIT}.jsonl").is_file():
        if share.is_first:
            _write_nothing(metrics, questions, n_best)
        return "no validation split"
    with share.output(questions) as folder:
        # In the folder that a killed run leaves and the next one removes.
        work = folder / "work"
        logits, predictions = work / "logits", work / "predictions"
        predict(features, load(), logits, prediction, SPLIT, share)
        if not share.is_first:
            return ""
        postprocess(raw, features, logits, predictions, reading, squad_v2=squad_v2, split=SPLIT)
        path = folder / QUESTIONS
        scores = scored(raw, predictions, path, scoring, squad_v2=squad_v2, split=SPLIT)
        _keep(n_best, predictions / N_BEST)
        shutil.rmtree(work)
    found = figures(scores) | {"normalizer": scoring.normalizer}
    headline = {name: found.pop(name) for name in HEADLINE}
    _write(metrics, headline, found)
    return scores.sentence()


def _write_nothing(metrics: Path, questions: Path, n_best: Path | None) -> None:
    with atomic_path(questions) as folder:
        folder.mkdir()
        write_question_scores(folder / QUESTIONS, [])
    _keep(n_best, None)
    _write(metrics, dict.fromkeys(HEADLINE), {"questions": 0})


def _keep(folder: Path | None, file: Path | None) -> None:
    """Move the n-best lists into their folder; without a validation split there are none."""
    if folder is None:
        return
    with atomic_path(folder) as written:
        written.mkdir()
        if file is None:
            write_json_lines(written / N_BEST, [])
        else:
            file.rename(written / N_BEST)


def _write(metrics: Path, headline: dict[str, Any], details: dict[str, Any]) -> None:
    """Write figures under names that nobody takes for those of the test split.

    DVC's tables leave out lists, so that their columns are the test scores alone.
    """
    named = {f"{SPLIT}_{name}": value for name, value in headline.items()}
    write_json(metrics, {"qa": {"details": [{"split": SPLIT} | named | details]}})
