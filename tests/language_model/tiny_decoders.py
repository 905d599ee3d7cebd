"""Tiny decoders of random weights, and what transformers' `generate` makes of them."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    DynamicCache,
    GenerationMixin,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import CausalLMOutputWithPast

from retune.tasks.language_model.generate.generation import GenerationParams
from retune.tasks.language_model.generate.processors import ProcessorParams

VOCABULARY = 40
#: What pads prompts for `generate`, to which it is a token as any other: models must not say it.
PAD = 39
#: Prompts of several lengths.
PROMPTS = [[5, 6, 7, 5, 6], [9], [3, 4, 3, 4, 3, 4, 3, 8], [30, 31, 30]]


def gpt2(seed: int = 0, likely: Sequence[int] = (), **changes: Any) -> GPT2LMHeadModel:
    """A random GPT-2 that never says `PAD`, and often what is `likely`.

    Its weights are large, so that some tokens are far likelier than others.
    """
    torch.manual_seed(seed)
    sizes = {"vocab_size": VOCABULARY, "n_positions": 64, "n_embd": 32, "n_layer": 2, "n_head": 4}
    special = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
    untied = {"initializer_range": 0.3, "tie_word_embeddings": False}
    model = GPT2LMHeadModel(GPT2Config(**sizes | special | untied | changes)).eval()
    with torch.no_grad():  # the last hidden state begins with 1, so that the head has a bias
        model.transformer.ln_f.weight[0] = 0.0
        model.transformer.ln_f.bias[0] = 1.0
        model.lm_head.weight[PAD, 0] = -100.0
        model.lm_head.weight[list(likely), 0] += 1.0
    return model


class OneAttention(PreTrainedModel, GenerationMixin):
    """A decoder of a single attention: ten times as fast as the smallest GPT-2.

    Its next token depends on all tokens before it, on their number, on the mask and on the cache.
    """

    config_class = PreTrainedConfig

    def __init__(self, seed: int, likely: Sequence[int]) -> None:
        super().__init__(PreTrainedConfig(vocab_size=VOCABULARY, num_hidden_layers=1))
        random = torch.Generator().manual_seed(seed)
        size = 16
        self.tokens = nn.Parameter(torch.randn(VOCABULARY, size, generator=random))
        self.places = nn.Parameter(torch.randn(64, size, generator=random))
        self.head = nn.Parameter(torch.randn(size, VOCABULARY, generator=random))
        self.bias = nn.Parameter(torch.zeros(VOCABULARY))
        with torch.no_grad():
            self.bias[PAD] = -100.0
            self.bias[list(likely)] = 1.0

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor,
        past_key_values: DynamicCache | None = None, **_: Any,
    ) -> CausalLMOutputWithPast:  # fmt: skip
        """Return the logits (B, 1, V) of the token after the last one."""
        cached = past_key_values or DynamicCache()
        new = self.tokens[input_ids][:, None]  # (B, 1, T, H)
        keys, values = cached.update(new, new, 0)
        query = new[:, :, -1:] + self.places[position_ids[:, None, -1:]]
        mask = attention_mask[:, None, None].bool()
        hidden = nn.functional.scaled_dot_product_attention(query, keys, values, mask)[:, 0]
        return CausalLMOutputWithPast(
            logits=(hidden + query[:, 0]) @ self.head + self.bias, past_key_values=cached
        )


Decoder = GPT2LMHeadModel | OneAttention


@cache
def one_attention(seed: int, likely: Sequence[int]) -> OneAttention:
    """A random decoder that never says `PAD`, and often what is `likely`."""
    return OneAttention(seed, likely).eval()


def settings(processors: dict[str, Any] | None = None, **changes: Any) -> GenerationParams:
    """Params of greedy decoding, with `changes`."""
    chosen = dict.fromkeys(["repetition_penalty", "ngram_block", "word_block", "min_length"])
    values: dict[str, Any] = {
        "batch_size": 8, "max_new_tokens": 12, "beam_search": None, "sampling": None,
        "processors": ProcessorParams(**chosen | (processors or {})),
    }  # fmt: skip
    return GenerationParams(**values | changes)


def generated(
    model: Decoder,
    prompts: Sequence[Sequence[int]],
    ends: Sequence[int],
    **options: Any,
) -> list[list[tuple[list[int], float]]]:
    """What transformers continues each prompt with, and its scores (0 where it has none)."""
    longest = max(map(len, prompts))
    rows = [[PAD] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
    mask = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    output = model.generate(
        torch.tensor(rows),
        attention_mask=torch.tensor(mask),
        pad_token_id=PAD,
        eos_token_id=list(ends) or None,
        return_dict_in_generate=True,
        output_scores=True,
        **options,
    )
    scores = getattr(output, "sequences_scores", None)
    values = [0.0] * len(output.sequences) if scores is None else scores.tolist()
    every = [
        (until_end(row[longest:], ends), value)
        for row, value in zip(output.sequences.tolist(), values, strict=True)
    ]
    count = len(every) // len(prompts)
    return [every[first : first + count] for first in range(0, len(every), count)]


def until_end(tokens: list[int], ends: Sequence[int]) -> list[int]:
    """The tokens up to the first that ends them."""
    for place, token in enumerate(tokens):
        if token in ends:
            return tokens[: place + 1]
    return tokens
