"""A GPT-2 of any size with fresh weights (Radford et al. 2019), for a tokenizer of its own."""

from typing import TYPE_CHECKING, Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel

from retune.core.params import STRICT, Positive
from retune.models.pretrained_files import PretrainedParams
from retune.models.tokenizer_checks import id_count

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True, config=STRICT)
class Params:
    """Section `language_model.models.gpt2_small`.

    `positions` is the most tokens that it reads at once, `dropout` that of embeddings, attention
    and what each half of a layer adds.
    """

    layers: Positive
    heads: Positive
    hidden_size: Positive
    positions: Positive
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)]

    def __post_init__(self) -> None:
        if self.hidden_size % self.heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is not a multiple of the {self.heads} heads, "
                "which share it evenly"
            )


def build(
    params: Params, pretrained: PretrainedParams, tokenizer: "PreTrainedTokenizerFast"
) -> PreTrainedModel:
    """Build a model with random weights; `pretrained` is not used."""
    end = int(tokenizer.eos_token_id)
    config = GPT2Config(
        vocab_size=id_count(tokenizer),
        n_positions=params.positions,
        n_embd=params.hidden_size,
        n_layer=params.layers,
        n_head=params.heads,
        resid_pdrop=params.dropout,
        embd_pdrop=params.dropout,
        attn_pdrop=params.dropout,
        bos_token_id=end,
        eos_token_id=end,
    )
    return GPT2LMHeadModel(config)
