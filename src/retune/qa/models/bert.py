"""Any pretrained encoder with a span head (Devlin et al. 2019, section 4.2)."""

from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from transformers import AutoConfig, AutoModelForQuestionAnswering, PreTrainedModel

from retune.checkpoints import NAME, quiet_transformers, require_vocabulary
from retune.configuration import check_configuration, explained
from retune.errors import RetuneError, listed
from retune.params import STRICT


@dataclass(frozen=True, config=STRICT)
class Params:
    """Section `qa.models.bert`.

    `dropout` replaces every dropout probability of the encoder; null keeps its own.
    """

    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] | None


def build(
    params: Params, checkpoint: Path, vocabulary_size: int, pad_token_id: int
) -> PreTrainedModel:
    """The encoder in the folder `checkpoint` with a head from H to 2 logits.

    The head is fresh unless the checkpoint was fine-tuned on question answering and
    brings one. The encoder's own padding token stays, so `pad_token_id` is not used.

    Raises:
        RetuneError: transformers cannot read the folder as such a model, weights of the
            encoder are missing, or it has fewer embeddings than the tokenizer has ids.
    """
    quiet_transformers()
    check_configuration(checkpoint)
    with explained(f"{NAME}: transformers cannot load {checkpoint} for question answering"):
        model, report = _load(checkpoint, params.dropout)
    # transformers fills what a file lacks with random numbers: right for the head only.
    prefix = f"{model.base_model_prefix}."
    missing = sorted(key for key in report["missing_keys"] if key.startswith(prefix))
    if missing:
        raise RetuneError(
            f"{NAME}: {checkpoint} lacks weights of the encoder: {listed(missing, 3)}; its "
            "config.json and model.safetensors do not belong together"
        )
    require_vocabulary(model.config.vocab_size, vocabulary_size, checkpoint)
    return model


def _load(checkpoint: Path, dropout: float | None) -> tuple[PreTrainedModel, dict[str, Any]]:
    config = AutoConfig.from_pretrained(
        checkpoint, num_labels=2, local_files_only=True, trust_remote_code=False
    )
    if dropout is not None:
        for name, value in config.to_dict().items():
            if "dropout" in name and isinstance(value, float):
                setattr(config, name, dropout)
    model, report = AutoModelForQuestionAnswering.from_pretrained(
        checkpoint,
        config=config,
        dtype=torch.float32,
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
        output_loading_info=True,
    )
    return model, report
