"""`retune.Classifier`: the sentiment of texts, by a trained model."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TypedDict, overload

from retune.core.errors import RetuneError
from retune.core.params import Params
from retune.inference.projects import params_for, require_texts, trained_params
from retune.models.outputs import on_best_device
from retune.models.pretrained_files import load_tokenizer
from retune.models.tokenizer_checks import id_count, require_vocabulary
from retune.tasks.sentiment.models import load
from retune.tasks.sentiment.predict.batches import Collator
from retune.tasks.sentiment.predict.predict import PredictParams, probabilities_of_ids
from retune.tasks.sentiment.texts.examples import LABELS, THRESHOLD
from retune.tasks.sentiment.tokenize.tokenize import TokenizeParams, reader

#: The settings without a params file.
LENGTHS, PREDICTING = TokenizeParams(128), PredictParams(32, "auto")


class Classified(TypedDict):
    """The label of a text, with the keys of the text-classification pipeline of transformers.

    Attributes:
        label: "negative" or "positive"; None if the tokenizer keeps nothing of the text.
        score: the probability of the label, from 0 to 1.
        positive: the probability of "positive".
        cut: whether the text was longer than the model reads.
    """

    label: str | None
    score: float | None
    positive: float | None
    cut: bool


class Classifier:
    """Classifies the sentiment of texts.

    Example::

        classify = Classifier("pipelines/sentiment/data/bert/runs/1234/model")
        classify("Not half as dull as its poster.")
        # {'label': 'positive', 'score': 0.93, 'positive': 0.93, 'cut': False}

    Args:
        model: folder that a train stage of the sentiment pipeline wrote.
        params: a params file with `sentiment.tokenize` and `sentiment.predict`; by default that of
            the pipeline around the folder, and without one the values that retune ships.

    Raises:
        RetuneError: the model is missing, damaged, or of another task.
    """

    def __init__(self, model: str | Path, *, params: str | Path | Params | None = None) -> None:
        folder = Path(model)
        trained = trained_params(folder, {"sentiment.model": str})
        if trained is None:
            raise RetuneError(f"{folder}: not a folder that a train stage of sentiment wrote")
        self.max_length, predicting = _settings(folder, params)
        loaded = on_best_device(load(str(trained["sentiment.model"]), folder))
        tokenizer = load_tokenizer(folder)
        require_vocabulary(loaded.config.vocab_size, id_count(tokenizer), folder)
        self._read = reader(tokenizer, TokenizeParams(self.max_length))
        collate = Collator.for_model(loaded, tokenizer)
        self._probabilities = partial(probabilities_of_ids, loaded, collate, predicting)

    @overload
    def __call__(self, texts: str) -> Classified: ...

    @overload
    def __call__(self, texts: list[str]) -> list[Classified]: ...

    def __call__(self, texts: str | list[str]) -> Classified | list[Classified]:
        """Classify a text, or several.

        Raises:
            RetuneError: one of them is not a text.
        """
        if isinstance(texts, str):
            return self._classified([texts])[0]
        return self._classified(texts)

    def _classified(self, texts: Sequence[str]) -> list[Classified]:
        require_texts(texts)
        read = self._read([*texts])
        found = [Classified(label=None, score=None, positive=None, cut=cut) for _, cut in read]
        rows = [row for row, (ids, _) in enumerate(read) if len(ids) > self._read.specials]
        shares = self._probabilities([read[row][0] for row in rows]) if rows else []
        for row, positive in zip(rows, shares, strict=True):
            found[row]["label"] = LABELS[positive > THRESHOLD]
            found[row]["score"] = max(positive, 1.0 - positive)
            found[row]["positive"] = positive
        return found


def _settings(folder: Path, params: str | Path | Params | None) -> tuple[int, PredictParams]:
    """Return the most tokens of a text, and how batches are computed."""
    settings = params_for(folder, params, "sentiment")
    if settings is None:
        return LENGTHS.max_length, PREDICTING
    with settings:
        lengths = settings.section("sentiment.tokenize", TokenizeParams)
        predicting = settings.section("sentiment.predict", PredictParams)
    return lengths.max_length, predicting
