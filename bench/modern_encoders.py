"""Encoders with random weights in the shapes of published ones, which decide their speed."""

import copy
from collections.abc import Mapping
from functools import cache, partial
from typing import Any

import torch
from transformers import (
    DebertaV2Config,
    DebertaV2ForQuestionAnswering,
    ModernBertConfig,
    ModernBertForQuestionAnswering,
    PreTrainedModel,
)

#: As in config.json of microsoft/deberta-v3-small.
_DEBERTA_V3_SMALL: Mapping[str, Any] = {
    "vocab_size": 128100, "hidden_size": 768, "num_hidden_layers": 6, "num_attention_heads": 12,
    "intermediate_size": 3072, "max_position_embeddings": 512, "relative_attention": True,
    "position_buckets": 256, "norm_rel_ebd": "layer_norm", "share_att_key": True,
    "pos_att_type": "p2c|c2p", "position_biased_input": False, "max_relative_positions": -1,
    "layer_norm_eps": 1e-7,
}  # fmt: skip
#: As in config.json of jhu-clsp/ettin-encoder-68m.
_ETTIN_68M: Mapping[str, Any] = {
    "vocab_size": 50368, "hidden_size": 512, "num_hidden_layers": 19, "num_attention_heads": 8,
    "intermediate_size": 768,
}  # fmt: skip


def build(name: str) -> PreTrainedModel:
    """Return a new random model of `SHAPES`; drawing its weights takes longer than a copy."""
    return copy.deepcopy(_drawn(name))


@cache
def _drawn(name: str) -> PreTrainedModel:
    torch.manual_seed(1)
    return SHAPES[name]()


def _deberta(values: Mapping[str, Any]) -> PreTrainedModel:
    return DebertaV2ForQuestionAnswering(DebertaV2Config(**values))


def _modernbert(values: Mapping[str, Any]) -> PreTrainedModel:
    return ModernBertForQuestionAnswering(ModernBertConfig(**values))


SHAPES = {
    "deberta-v3-small": partial(_deberta, _DEBERTA_V3_SMALL),
    "ettin-68m": partial(_modernbert, _ETTIN_68M),
    "modernbert-base": partial(_modernbert, {}),  # the defaults are its sizes
}
