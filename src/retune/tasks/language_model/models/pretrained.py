"""Any pretrained decoder that transformers knows as a causal language model, such as GPT-2."""

from typing import TYPE_CHECKING, Annotated

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedModel

from retune.core.errors import RetuneError, listed
from retune.core.params import STRICT
from retune.models.checkpoints import DECODER_TOKENS, CheckpointParams, load_tokenizer, resolve
from retune.models.encoders import encoder_config, load_encoder_and_missing
from retune.models.tokenizer_checks import id_count, require_vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True, config=STRICT)
class Params:
    """Section `language_model.models.pretrained`.

    `dropout` replaces every dropout probability of the decoder; null keeps its own.
    """

    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] | None


def build(
    params: Params, checkpoint: CheckpointParams, tokenizer: "PreTrainedTokenizerFast"
) -> PreTrainedModel:
    """The decoder of the checkpoint, whole.

    Raises:
        RetuneError: the tokenizer is not the checkpoint's, transformers cannot read the checkpoint
            so, weights are missing, it has fewer embeddings than the tokenizer has tokens, or is
            an encoder.
    """
    folder = resolve(checkpoint, "language_model.checkpoint")
    if load_tokenizer(folder, DECODER_TOKENS).get_vocab() != tokenizer.get_vocab():
        raise RetuneError(
            "language_model.tokenize.tokenizer: the blocks are of another vocabulary than that of "
            f"{checkpoint.name}, to which their tokens would mean something else; set it to "
            "`checkpoint`, or language_model.model to one with fresh weights"
        )
    config = encoder_config(folder, params.dropout)
    model, missing = load_encoder_and_missing(AutoModelForCausalLM, folder, config)
    if missing:  # transformers draws them at random
        raise RetuneError(
            f"{checkpoint.name} lacks weights of a language model: {listed(missing, 3)}; choose a "
            "checkpoint that was trained to tell the next token"
        )
    require_vocabulary(model.config.get_text_config().vocab_size, id_count(tokenizer), folder)
    if _sees_what_follows(model, id_count(tokenizer)):
        raise RetuneError(
            f"{checkpoint.name}: its model sees the tokens that follow, as an encoder does, so it "
            "would not learn to tell the next one; choose a decoder checkpoint, such as one of the "
            "GPT-2 family"
        )
    return model


def _sees_what_follows(model: nn.Module, vocabulary_size: int) -> bool:
    """Whether what `model` says of a token depends on the next one.

    transformers takes an encoder with a masked head for a causal model, and merely warns.
    """
    ids = torch.tensor([[0, 0], [0, vocabulary_size - 1]])
    with torch.no_grad():
        one, other = model.eval()(input_ids=ids, use_cache=False).logits[:, 0]
    # Two rows of a batch may be rounded differently, by far less than that.
    return bool((one - other).abs().max() > 1e-4 * one.abs().max())
