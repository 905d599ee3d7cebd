"""Models that read (B, T) windows and give start and end logits (B, T), one file each.

To add one, write `qa/models/<variant>.py` with

- `Params`, a frozen dataclass: the params section `qa.models.<variant>`;
- `build(params, checkpoint, vocabulary_size, pad_token_id)`, which gives a
  `PreTrainedModel` with fresh weights (the caller has seeded torch). Its
  `forward(input_ids, attention_mask, token_type_ids=None)` takes integers (B, T), where
  mask 1 = real token and type 1 = context, and returns `QuestionAnsweringModelOutput`
  without a loss. Logits of real tokens must not depend on the amount of padding. What its
  training adds to the span loss, if anything, its attribute `penalty` gives when called;
- for speed on a CPU the model may also read packed windows (`retune.layers.attention`): all
  tokens in one row (1, N), with `attention_mask` None, `position_ids` (1, N) and `packing`;
  then it sets `_supports_attention_backend`, and `retune.qa.packing` tries it out;
- where the model is not transformers' own, a configuration and the model registered
  with AutoConfig and AutoModelForQuestionAnswering as the module is imported.

The file imports no other variant, so that editing it re-runs no other. Then add the
section to params.yaml and choose it: `dvc exp run -S qa.model=<variant>`.
"""

import inspect
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def load(variant: str, folder: Path) -> "PreTrainedModel":
    """The trained model in `folder`, float32 and in evaluation mode (no dropout).

    Raises:
        RetuneError: the folder is incomplete or damaged, or its configuration leads to
            code or weights elsewhere.
    """
    from transformers import AutoModelForQuestionAnswering

    from retune import bundles
    from retune.encoders import load_trained
    from retune.params import import_known

    import_known(variant, __name__, folder)  # registers the variant's classes
    if (folder / bundles.FILE).is_file():
        return bundles.load(folder, AutoModelForQuestionAnswering)
    return load_trained(AutoModelForQuestionAnswering, folder)


def accepts_token_types(model: "PreTrainedModel") -> bool:
    """Whether `token_type_ids` of 0 and 1 may be given (not to RoBERTa or DistilBERT)."""
    named = "token_type_ids" in inspect.signature(model.forward).parameters
    return named and getattr(model.config, "type_vocab_size", 2) > 1
