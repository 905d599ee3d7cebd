"""Answer questions by a trained model: the stages tokenize, predict and postprocess in one call."""

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from retune.models.pretrained_files import load_tokenizer
from retune.processes.share import ALONE, Share
from retune.tasks.qa.postprocess.postprocess import PostprocessParams, postprocess
from retune.tasks.qa.predict.predict import PredictParams, predict
from retune.tasks.qa.questions.examples import Example, write_examples
from retune.tasks.qa.questions.splits import SCORED
from retune.tasks.qa.score.score import ScoreParams
from retune.tasks.qa.tokenize.tokenize import TokenizeParams, tokenize

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclasses.dataclass(frozen=True, slots=True)
class Answering:
    """How a model answers questions.

    Attributes:
        load: returns the model.
        model: its folder, with its tokenizer.
        lengths: of windows.
        prediction: see `PredictParams`.
        reading: see `PostprocessParams`.
        scoring: see `ScoreParams`; tokenize counts by it what the windows lose.
        squad_v2: whether questions may have no answer.
        share: of this process in the prediction.
    """

    load: "Callable[[], PreTrainedModel]"
    model: Path
    lengths: TokenizeParams
    prediction: PredictParams
    reading: PostprocessParams
    scoring: ScoreParams
    squad_v2: bool
    share: Share = ALONE


def answer(questions: Iterable[Example], work: Path, how: Answering) -> Path:
    """Write the model's answers to a folder in `work`, which is new, and return it.

    The folder has the files of the stage postprocess. Gold answers may be in no window, and texts
    unknown to the tokenizer. Of several processes, only the first one reads the answers off the
    logits; in the others the folder is missing.
    """
    raw, features, logits, predictions = (
        work / name for name in ("raw", "features", "logits", "predictions")
    )
    raw.mkdir(parents=True)
    write_examples(raw / f"{SCORED}.jsonl", questions)
    lengths = dataclasses.replace(how.lengths, max_lost_answers=1.0, max_unknown_tokens=1.0)
    tokenize(
        raw, features, work / "windows.json", tokenizer=load_tokenizer(how.model), params=lengths,
        scoring=how.scoring, squad_v2=how.squad_v2,
    )  # fmt: skip
    predict(features, how.load(), logits, how.prediction, share=how.share)
    if how.share.is_first:
        postprocess(raw, features, logits, predictions, how.reading, squad_v2=how.squad_v2)
    return predictions
