"""The model before its training: random, pretrained, or refused."""

from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from language_runs import NO_CHECKPOINT, SMALL, run_tokenize, write_data, write_raw
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from retune.core.errors import RetuneError
from retune.core.files import read_json, sha256
from retune.core.params import module_names
from retune.models.pretrained_files import DECODER_TOKENS, PretrainedParams, load_tokenizer
from retune.tasks.language_model import models
from retune.tasks.language_model.init.init import start
from retune.tasks.language_model.models import gpt2_small, pretrained

FILES = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_data(tmp_path)


def begin(data: Path, folder: Path, *, seed: int = 1, **changes: Any) -> str:
    build = partial(gpt2_small.build, replace(SMALL, **changes), NO_CHECKPOINT)
    return start(data / "features", folder, build=build, seed=seed)


def test_every_model_has_params_and_build() -> None:
    assert module_names("retune.tasks.language_model.models") == ["gpt2_small", "pretrained"]
    for module in (gpt2_small, pretrained):
        assert {"Params", "build"} <= set(vars(module))


def test_a_fresh_model_is_as_the_params_say(data: Path, tmp_path: Path) -> None:
    changes = {"layers": 3, "heads": 4, "hidden_size": 8, "positions": 20, "dropout": 0.25}
    told = begin(data, tmp_path / "model", **changes)
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == FILES
    model = models.load(tmp_path / "model")
    assert not model.training
    assert told == f"{model.num_parameters():,} parameters, 20 positions, 300 tokens"
    config = model.config
    assert (config.n_layer, config.n_head, config.n_embd, config.n_positions) == (3, 4, 8, 20)
    assert (config.attn_pdrop, config.embd_pdrop, config.resid_pdrop) == (0.25, 0.25, 0.25)
    assert (config.vocab_size, config.eos_token_id) == (300, 0)
    tokenizer = load_tokenizer(tmp_path / "model", DECODER_TOKENS)
    assert (
        tokenizer.get_vocab()
        == load_tokenizer(data / "features/tokenizer", DECODER_TOKENS).get_vocab()
    )
    assert model(torch.tensor([[0, 1, 2]])).logits.shape == (1, 3, 300)


def test_same_seed_same_bytes_and_another_seed_others(data: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        begin(data, tmp_path / name, seed=seed)
    for file in FILES:
        assert sha256(tmp_path / "a" / file) == sha256(tmp_path / "b" / file)
    other = sha256(tmp_path / "c/model.safetensors")
    assert other != sha256(tmp_path / "a/model.safetensors")
    assert str(tmp_path) not in (tmp_path / "a/config.json").read_text()


def test_a_model_that_cannot_read_a_block_is_refused(data: Path, tmp_path: Path) -> None:
    message = r"tokenize\.block_size: 16 tokens are more than the 15 positions of the mod"
    with pytest.raises(RetuneError, match=message):
        begin(data, tmp_path / "model", positions=15)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": 3}, "hidden_size 16 is not a multiple of the 3 heads"),
        ({"layers": 0}, "layers"),
        ({"dropout": 1.0}, "dropout"),
        ({"depth": 2}, "depth"),
    ],
)
def test_sizes_that_make_no_model_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        gpt2_small.Params(**asdict(SMALL) | changes)


def pinned(folder: Path) -> PretrainedParams:
    return PretrainedParams(str(folder), sha256(folder / "model.safetensors"))


def begin_of(checkpoint: PretrainedParams, data: Path, folder: Path, dropout: float | None) -> str:
    build = partial(pretrained.build, pretrained.Params(dropout), checkpoint)
    return start(data / "features", folder, build=build, seed=1)


@pytest.fixture
def checkpoint(data: Path, tmp_path: Path) -> PretrainedParams:
    """A small GPT-2 as if somebody had trained it, and the texts cut by its tokenizer."""
    begin(data, tmp_path / "gpt2")
    checkpoint = pinned(tmp_path / "gpt2")
    run_tokenize(data, checkpoint=checkpoint, tokenizer="checkpoint")
    return checkpoint


@pytest.mark.parametrize(("dropout", "expected"), [(None, 0.1), (0.3, 0.3)])
def test_a_checkpoint_is_taken_as_it_is(
    dropout: float | None, expected: float, checkpoint: PretrainedParams, data: Path, tmp_path: Path
) -> None:
    begin_of(checkpoint, data, tmp_path / "model", dropout)
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == FILES
    before, found = (load_file(f / "model.safetensors")
                     for f in (Path(checkpoint.name), tmp_path / "model"))  # fmt: skip
    assert before.keys() == found.keys()
    assert all(torch.equal(weight, found[name]) for name, weight in before.items())
    config = models.load(tmp_path / "model").config
    assert {config.attn_pdrop, config.embd_pdrop, config.resid_pdrop} == {expected}


def test_a_checkpoint_of_another_kind_than_gpt2_is_taken_too(tmp_path: Path) -> None:
    from transformers import LlamaConfig

    data = write_data(tmp_path)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
    config = LlamaConfig(vocab_size=300, num_attention_heads=2, max_position_embeddings=64, **sizes)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "llama")
    load_tokenizer(data / "features/tokenizer", DECODER_TOKENS).save_pretrained(tmp_path / "llama")
    told = begin_of(pinned(tmp_path / "llama"), data, tmp_path / "model", None)
    assert told.endswith("64 positions, 300 tokens")
    assert models.load(tmp_path / "model").config.model_type == "llama"


def test_blocks_of_another_vocabulary_than_the_checkpoints_are_refused(
    checkpoint: PretrainedParams, data: Path, tmp_path: Path
) -> None:
    run_tokenize(data, vocabulary_size=290)
    with pytest.raises(
        RetuneError, match=r"tokenize\.tokenizer: the blocks were made with another vocab"
    ):
        begin_of(checkpoint, data, tmp_path / "model", None)


def test_a_checkpoint_without_its_weights_is_refused(
    checkpoint: PretrainedParams, data: Path, tmp_path: Path
) -> None:
    folder = Path(checkpoint.name)
    weights = load_file(folder / "model.safetensors")
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(
        config.replace('word_embeddings": true', 'word_embeddings": false')
    )
    with pytest.raises(RetuneError, match=r"gpt2 lacks weights of a language model: lm_head\.weig"):
        begin_of(checkpoint, data, tmp_path / "model", None)
    with pytest.raises(
        RetuneError,
        match=r"gpt2: config.json and model.safetensors differ in lm_head\.weight; they",
    ):
        models.load(folder)
    del weights["transformer.ln_f.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(RetuneError, match=r"lacks weights of the encoder: transformer\.ln_f\.weig"):
        begin_of(pinned(folder), data, tmp_path / "model", None)


def test_a_checkpoint_with_too_few_embeddings_is_refused(
    checkpoint: PretrainedParams, data: Path, tmp_path: Path
) -> None:
    folder = Path(checkpoint.name)
    model = models.load(folder)
    model.resize_token_embeddings(299)
    model.save_pretrained(folder)
    with pytest.raises(RetuneError, match="embeddings for 299 tokens, but its tokenizer has 300"):
        begin_of(pinned(folder), data, tmp_path / "model", None)


def test_what_is_no_model_is_not_loaded(data: Path, tmp_path: Path) -> None:
    begin(data, tmp_path / "model")
    (tmp_path / "model/model.safetensors").write_bytes(b"x")
    with pytest.raises(RetuneError, match=r"model: not a complete model: .*; where a stage"):
        models.load(tmp_path / "model")
    (tmp_path / "model/config.json").write_text('{"auto_map": {}}')
    with pytest.raises(RetuneError, match="refused because of 'auto_map'"):
        models.load(tmp_path / "model")


def test_an_encoders_checkpoint_is_refused(tmp_path: Path) -> None:
    data = write_raw(tmp_path / "data").parent
    tiny.write_checkpoint(tmp_path / "bert")
    with pytest.raises(RetuneError, match="has no eos_token; choose a pretrained decoder"):
        run_tokenize(data, checkpoint=pinned(tmp_path / "bert"), tokenizer="checkpoint")


def test_the_config_names_no_path(data: Path) -> None:
    assert "_name_or_path" not in read_json(data / "before/config.json")
