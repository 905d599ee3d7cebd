"""Pretrained encoders with the head of a task, complete or refused."""

import re
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForQuestionAnswering,
    PretrainedConfig,
    PreTrainedModel,
)

from retune.core.errors import RetuneError, listed
from retune.core.plain_files import require_unchanged, summed
from retune.models.config_safety import check_configuration, explained
from retune.models.model_checks import require_fitting_sizes, require_readable
from retune.models.pretrained_files import WEIGHTS, quiet_transformers
from retune.models.tokenizer_checks import require_vocabulary

#: In the names of a configuration's dropout probabilities; GPT-2's are `resid_pdrop` and the like.
_DROPOUT = re.compile("dropout|pdrop$")
#: Endings of the names of word-piece embeddings, the most specific first.
_EMBEDDINGS = ("word_embeddings.weight", "tok_embeddings.weight", "embed_tokens.weight")


def span_model(pretrained: Path, dropout: float | None, vocabulary_size: int) -> PreTrainedModel:
    """The encoder in the folder `pretrained` with a head from H to 2 logits.

    The head is fresh unless the pretrained model has one for question answering. The encoder keeps
    its padding token.

    Raises:
        RetuneError: transformers cannot read the folder as such a model, weights of the
            encoder are missing, or it has fewer embeddings than the tokenizer has ids.
    """
    config = encoder_config(pretrained, dropout, num_labels=2)
    model = load_encoder(AutoModelForQuestionAnswering, pretrained, config)
    require_vocabulary(model.config.vocab_size, vocabulary_size, pretrained)
    return model


def encoder_config(pretrained: Path, dropout: float | None, **changes: Any) -> PretrainedConfig:
    """The configuration in the folder `pretrained`, with `changes`.

    `dropout` replaces every dropout probability of the encoder; None keeps its own.
    """
    quiet_transformers()
    check_configuration(pretrained)
    with _explained(pretrained):
        config: PretrainedConfig = AutoConfig.from_pretrained(
            pretrained, local_files_only=True, trust_remote_code=False, **changes
        )
    if getattr(config, "chunk_size_feed_forward", 0):
        config.chunk_size_feed_forward = 0  # fails for most lengths of a text
    if dropout is not None:
        for name, value in config.to_dict().items():
            if _DROPOUT.search(name) and isinstance(value, float):
                setattr(config, name, dropout)
    if getattr(config, "attention_type", None) == "block_sparse":
        # BigBird gives up sparse attention at the first short batch, so that its logits would
        # depend on the order of the batches.
        config.attention_type = "original_full"
    return config


def load_encoder(auto_class: Any, pretrained: Path, config: PretrainedConfig) -> PreTrainedModel:
    """The model of `auto_class` for `config`, with the encoder in `pretrained`.

    The head is fresh if the pretrained model has none, or one of other sizes.

    Raises:
        RetuneError: transformers cannot read the folder as such a model, or weights of the encoder
            are missing or have other sizes.
    """
    return load_encoder_and_missing(auto_class, pretrained, config)[0]


def load_encoder_and_missing(
    auto_class: Any, pretrained: Path, config: PretrainedConfig
) -> tuple[PreTrainedModel, list[str]]:
    """Like `load_encoder`, with the names of the head's fresh weights."""
    with _explained(pretrained):
        require_fitting_sizes(pretrained / WEIGHTS, config, auto_class)
        model, report = auto_class.from_pretrained(
            pretrained,
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    require_unchanged(summed([pretrained / WEIGHTS]))
    # transformers draws weights that a file lacks, or has in other sizes, at random. Only the head
    # may have such.
    resized = {key for key, *_ in report["mismatched_keys"]}
    fresh = sorted({*report["missing_keys"]} | resized)
    told = [
        f"{key} (which has another size there)" if key in resized else key
        for key in fresh
        if _is_of_the_encoder(model, key)
    ]
    if told:
        raise RetuneError(
            f"{pretrained} lacks weights of the encoder: {listed(told, 3)}; its "
            "config.json and model.safetensors do not belong together"
        )
    with _explained(pretrained):
        require_readable(model)
    return model, fresh


def _is_of_the_encoder(model: PreTrainedModel, key: str) -> bool:
    """Whether a weight belongs to the encoder; T5's has no prefix."""
    if model.base_model is not model:
        return key.startswith(f"{model.base_model_prefix}.")
    return key.partition(".")[0] in ("shared", "encoder", "decoder")


def load_encoder_embeddings(folder: Path) -> Tensor:
    """The word-piece embedding matrix (V, H) of the encoder in `folder`, as float32.

    Raises:
        RetuneError: no tensor of the pretrained model has a known name.
    """
    weights = folder / WEIGHTS
    with explained(f"cannot read {weights}"), safe_open(weights, framework="pt") as tensors:
        names = sorted(tensors.keys())
        for ending in _EMBEDDINGS:
            for name in names:
                if name.endswith(ending):
                    matrix: Tensor = tensors.get_tensor(name).float().clone()
                    require_unchanged(summed([weights]))
                    return matrix
    raise RetuneError(
        f"{folder / WEIGHTS} has no word-piece embeddings (a tensor whose name ends in "
        f"{', '.join(_EMBEDDINGS)}); set `pretrained_embeddings: false`"
    )


def initial_embeddings(folder: Path, vocabulary_size: int, *, wanted: bool) -> Tensor | None:
    """The embeddings (V, H) of the encoder in `folder`, if they are wanted.

    Raises:
        RetuneError: they are absent, or fewer than the `vocabulary_size` ids.
    """
    if not wanted:
        return None
    words = load_encoder_embeddings(folder)
    require_vocabulary(words.shape[0], vocabulary_size, folder)
    return words


@torch.no_grad()
def fill(embedding: nn.Embedding, words: Tensor | None, *, freeze: bool = False) -> None:
    """Put `words`, if any, into a fresh embedding, and freeze it if asked to."""
    if words is not None:
        embedding.weight.copy_(words)
    embedding.weight.requires_grad_(not freeze)


def load_trained(auto_class: Any, folder: Path) -> PreTrainedModel:
    """The trained model of `auto_class` in `folder`, float32, in evaluation mode (no dropout).

    Raises:
        RetuneError: the folder is incomplete or damaged, or its configuration leads to
            code or weights elsewhere.
    """
    quiet_transformers()
    check_configuration(folder)
    with explained(
        f"{folder}: not a complete model",
        "; where a stage wrote it, `dvc repro --force` writes it again",
    ):
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        require_fitting_sizes(folder / WEIGHTS, config, auto_class)
        model, report = auto_class.from_pretrained(
            folder,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
        differing = sorted({*report["missing_keys"], *report["unexpected_keys"]})
        if differing:  # transformers draws what is missing at random
            raise RetuneError(
                f"{folder}: config.json and {WEIGHTS} differ in {listed(differing, 3)}; they "
                "do not belong together: run the stage that writes it"
            )
        require_readable(model.eval())
    whole: PreTrainedModel = model
    return whole


def _explained(pretrained: Path) -> Any:
    return explained(f"transformers cannot load {pretrained} for this task")
