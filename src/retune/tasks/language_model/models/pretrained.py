"""Any pretrained decoder that transformers knows as a causal language model, such as GPT-2."""

from typing import TYPE_CHECKING, Annotated

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedModel

from retune.core.errors import RetuneError, listed
from retune.core.params import STRICT
from retune.models.encoders import encoder_config, load_encoder_and_missing
from retune.models.pretrained_files import DECODER_TOKENS, PretrainedParams, load_tokenizer, resolve
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
    params: Params, pretrained: PretrainedParams, tokenizer: "PreTrainedTokenizerFast"
) -> PreTrainedModel:
    """Load the pretrained decoder with all its weights.

    Raises:
        RetuneError: the tokenizer belongs to another model, transformers cannot read the folder
            as a decoder, weights are missing, there are fewer embeddings than tokens, or the model
            is an encoder.
    """
    folder = resolve(pretrained, "language_model.checkpoint")
    if load_tokenizer(folder, DECODER_TOKENS).get_vocab() != tokenizer.get_vocab():
        raise RetuneError(
            "language_model.tokenize.tokenizer: the blocks were made with another vocabulary than "
            f"{pretrained.name}'s, so that their ids mean other tokens; set it to "
            "`checkpoint`, or language_model.model to one with fresh weights"
        )
    config = encoder_config(folder, params.dropout)
    model, missing = load_encoder_and_missing(AutoModelForCausalLM, folder, config)
    if missing:  # transformers draws them at random
        raise RetuneError(
            f"{pretrained.name} lacks weights of a language model: {listed(missing, 3)}; choose a "
            "model that was trained to predict the next token"
        )
    require_vocabulary(model.config.get_text_config().vocab_size, id_count(tokenizer), folder)
    if _sees_what_follows(model, id_count(tokenizer)):
        raise RetuneError(
            f"{pretrained.name}: its model sees the tokens that follow, as an encoder does, so it "
            "would not learn to predict the next one; choose a pretrained decoder, such as one of "
            "the GPT-2 family"
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
