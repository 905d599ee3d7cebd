"""`retune ask` for sentiment: classify the user's sentences."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from retune.core.errors import RetuneError
from retune.core.params import Params
from retune.models.outputs import on_best_device
from retune.models.pretrained_files import load_tokenizer
from retune.models.tokenizer_checks import id_count, require_vocabulary
from retune.tasks.sentiment.models import load
from retune.tasks.sentiment.predict.batches import Collator
from retune.tasks.sentiment.predict.predict import PredictParams, probabilities_of_ids
from retune.tasks.sentiment.texts.examples import LABELS, THRESHOLD
from retune.tasks.sentiment.tokenize.tokenize import TokenizeParams, reader
from retune.tools.ask.asking import Reply, trained_with


def asker(settings: Params, folder: Path, context: str | None) -> Callable[[str], Reply]:
    """Return a function that classifies a sentence with the model in `folder`."""
    if context is not None:
        raise RetuneError("--context is for questions; a sentence is classified as it stands")
    with settings as params:
        lengths = params.section("sentiment.tokenize", TokenizeParams)
        predicting = params.section("sentiment.predict", PredictParams)
    (variant,) = trained_with(folder, {"sentiment.model": str})
    model, tokenizer = on_best_device(load(variant, folder)), load_tokenizer(folder)
    require_vocabulary(model.config.vocab_size, id_count(tokenizer), folder)
    collate = Collator.for_model(model, tokenizer)
    read = reader(tokenizer, lengths)
    ask = partial(probabilities_of_ids, model, collate, predicting)

    def classify(text: str) -> Reply:
        ((ids, is_cut),) = read([text])
        if len(ids) == read.specials:
            fields: dict[str, Any] = {"text": text, "label": None, "positive": None, "cut": False}
            return Reply(f"no label, because the tokenizer keeps nothing of it  {text}", fields)
        (positive,) = ask([ids])
        label = LABELS[positive > THRESHOLD]
        fields = {"text": text, "label": label, "positive": positive, "cut": is_cut}
        doubt = f"  (its first {lengths.max_length} tokens)" if is_cut else ""
        return Reply(f"{label}  {max(positive, 1 - positive):.1%}  {text}{doubt}", fields)

    return classify
