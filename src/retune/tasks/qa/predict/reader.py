"""A trained reader of any variant, and the inputs that it accepts."""

import inspect
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_VARIANTS = "retune.tasks.qa.models"


def load(variant: str, folder: Path) -> "PreTrainedModel":
    """The trained model in `folder`, float32 and in evaluation mode (no dropout).

    Raises:
        RetuneError: the folder is incomplete or damaged, or its configuration leads to
            code or weights elsewhere.
    """
    from transformers import AutoModelForQuestionAnswering

    from retune.adapters import bundles
    from retune.core.params import import_known
    from retune.models.encoders import load_trained

    import_known(variant, _VARIANTS, folder)  # registers the variant's classes
    if (folder / bundles.FILE).is_file():
        return bundles.load(folder, AutoModelForQuestionAnswering)
    return load_trained(AutoModelForQuestionAnswering, folder)


def accepts_token_types(model: "PreTrainedModel") -> bool:
    """Whether `token_type_ids` of 0 and 1 may be given (not to RoBERTa or DistilBERT)."""
    named = "token_type_ids" in inspect.signature(model.forward).parameters
    return named and getattr(model.config, "type_vocab_size", 2) > 1
