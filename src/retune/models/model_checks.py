"""Checks of a model folder: sizes before the model is built, and a small input afterwards.

transformers builds whatever config.json describes; a value of a wrong kind fails in the first
batch. These checks give a message before any work is done.
"""

import inspect
import math
from pathlib import Path
from typing import Any

import orjson
import torch
from transformers import PretrainedConfig, PreTrainedModel

from retune.core.errors import RetuneError, excerpt
from retune.core.plain_files import opened

_LAYERS = (
    *("num_hidden_layers", "num_layers", "n_layer", "n_layers", "encoder_layers"),
    *("decoder_layers", "num_decoder_layers", "num_hidden_groups", "inner_group_num"),
)
_FEW_LAYERS = 100  # are built without a look at the weights
_SMALL = 10_000_000  # numbers: what a fresh head may have
_LONGEST_HEADER = 100_000_000  # bytes, as in safetensors
_TOKENS = 7  # an odd number, which shows whether parts of a text must have one length


def require_fitting_sizes(weights: Path, config: PretrainedConfig, auto_class: Any) -> None:
    """Check that the model that `config` describes is about as large as a file of weights.

    Raises:
        RetuneError: it would be far larger, or have far more layers.
    """
    shapes = _shapes(weights)
    if not shapes:  # damaged; safetensors has a better message
        return
    _require_layers(weights, config.to_dict(), shapes)
    with torch.device("meta"), torch.random.fork_rng(devices=[]):
        build = getattr(auto_class, "from_config", auto_class)  # a model's own class has none
        model = build(config)
    parts = {id(part): part.numel() for part in (*model.parameters(), *model.buffers())}
    described, held = sum(parts.values()), sum(map(math.prod, shapes.values()))
    if described > 2 * held + _SMALL:
        raise RetuneError(
            f"{weights.parent / 'config.json'} describes a model of {described:,} numbers, but "
            f"{weights.name} holds {held:,}; the two do not belong together"
        )


def require_readable(model: PreTrainedModel) -> None:
    """Run `model` on a short text, so that a wrong value in its configuration shows."""
    if hasattr(model.base_model, "set_attention_type"):
        return  # BigBird would then keep another attention
    ids = torch.zeros(1, _TOKENS, dtype=torch.long, device=model.device)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if "token_type_ids" in inspect.signature(model.forward).parameters:
        inputs["token_type_ids"] = ids  # which some models need
    was_training = model.training
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        model.eval()(**inputs)
    model.train(was_training)


def _require_layers(weights: Path, config: dict[str, Any], shapes: dict[str, Any]) -> None:
    numbers = [int(part) for name in shapes for part in name.split(".") if part.isdecimal()]
    held = max(numbers, default=-1) + 1
    for key in _LAYERS:
        value = config.get(key)
        if isinstance(value, int) and value > max(held, _FEW_LAYERS):
            raise RetuneError(
                f"{weights.parent / 'config.json'}: {key} is {excerpt(value)}, but {weights.name} "
                f"has weights of {held} layers; the two do not belong together"
            )


def _shapes(weights: Path) -> dict[str, list[int]]:
    """The shape of each tensor by name, from the header; empty if that is damaged."""
    with opened(weights) as file:
        length = int.from_bytes(file.read(8), "little")
        header = file.read(length) if length <= _LONGEST_HEADER else b""
    try:
        entries = orjson.loads(header)
        return {
            name: [int(size) for size in entry["shape"]]
            for name, entry in entries.items()
            if name != "__metadata__"
        }
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}
