"""`retune ask` for sentiment: classify the user's sentences."""

from collections.abc import Callable
from pathlib import Path

from retune.core.errors import RetuneError
from retune.core.params import Params
from retune.inference.classifier import Classifier
from retune.tools.ask.asking import Reply, trained_with


def asker(settings: Params, folder: Path, context: str | None) -> Callable[[str], Reply]:
    """Return a function that classifies a sentence with the model in `folder`."""
    if context is not None:
        raise RetuneError("--context is for questions; a sentence is classified as it stands")
    trained_with(folder, {"sentiment.model": str})
    classifier = Classifier(folder, params=settings)

    def classify(text: str) -> Reply:
        found = classifier(text)
        known = {"label": found["label"], "positive": found["positive"], "cut": found["cut"]}
        fields = {"text": text, **known}
        if found["score"] is None:
            return Reply(f"no label, because the tokenizer keeps nothing of it  {text}", fields)
        doubt = f"  (its first {classifier.max_length} tokens)" if found["cut"] else ""
        return Reply(f"{found['label']}  {found['score']:.1%}  {text}{doubt}", fields)

    return classify
