"""Models that read (B, T) texts and give logits (B, 2) of the labels, one file each.

To add one, write `sentiment/models/<name>.py` with

- `Params`, a frozen dataclass: the params section `sentiment.models.<name>`; its property
  `pretrained` says whether the model starts from pretrained weights;
- `build(params, pretrained, vocabulary_size, pad_token_id)`, which gives a `PreTrainedModel`
  with fresh weights (the caller has seeded torch). Its `forward(input_ids, attention_mask)`
  takes integers (B, T), where mask 1 = real token, and returns `SequenceClassifierOutput`
  without a loss; its configuration has the labels `LABELS`. Logits must not depend on the
  amount of padding;
- where the model is not transformers' own, a configuration, and the decorator
  `registered(AutoModelForSequenceClassification)` (`retune.models.registration`) on the model.

The file imports no other model of this folder, so that editing it re-runs no other.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from retune.tasks.sentiment.texts.examples import LABELS

if TYPE_CHECKING:
    from transformers import PreTrainedModel

#: What the configuration of every model says of the labels.
NAMED_LABELS: dict[str, Any] = {
    "id2label": dict(enumerate(LABELS)),
    "label2id": {label: number for number, label in enumerate(LABELS)},
}


def load(name: str, folder: Path) -> "PreTrainedModel":
    """The trained model in `folder`, float32 and in evaluation mode (no dropout).

    Raises:
        RetuneError: the folder is incomplete or damaged, or its configuration leads to
            code or weights elsewhere.
    """
    from transformers import AutoModelForSequenceClassification

    from retune.core.params import import_known
    from retune.models.encoders import load_trained

    import_known(name, __name__, folder)  # registers the model's classes
    return load_trained(AutoModelForSequenceClassification, folder)
