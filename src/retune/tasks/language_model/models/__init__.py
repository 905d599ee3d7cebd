"""Models that predict the next token of (B, T) tokens, one file each.

To add one, write `language_model/models/<name>.py` with

- `Params`, a frozen dataclass: the params section `language_model.models.<name>`;
- `build(params, pretrained, tokenizer)`, which gives a `PreTrainedModel` of transformers with
  logits (B, T, V) for all tokens of the tokenizer (the caller has seeded torch).
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def load(folder: Path) -> "PreTrainedModel":
    """The model in `folder`, before its training or after, float32 and without dropout.

    Raises:
        RetuneError: the folder is incomplete or damaged, or its configuration leads to
            code or weights elsewhere.
    """
    from transformers import AutoModelForCausalLM

    from retune.models.encoders import load_trained

    return load_trained(AutoModelForCausalLM, folder)
