"""Language models that cannot be begun or trained, or are not whole: rows M."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from language_runs import run, run_tokenize
from refusals import case, refuse, refused, seal_again, stage, write_params, write_whole
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForMaskedLM

from retune.core.files import sha256
from retune.models.pretrained_files import PretrainedParams
from retune.tasks.language_model.models import load


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_whole(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def data(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "data"))


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        case("M23 blocks longer than the model reads", {"positions": 8},
             r"block_size: 16 tokens are more than the 8 positions of the model; lower it"),
        case("M24 heads that share nothing evenly", {"heads": 3},
             "hidden_size 16 is not a multiple of the 3 heads"),
        case("M24 no layer", {"layers": 0}, r"gpt2_small\.layers: input should be greater"),
        case("M24 nothing is left by dropout", {"dropout": 1.0}, r"gpt2_small\.dropout: input sho"),
    ],
)  # fmt: skip
def test_sizes_that_make_no_model_are_refused(
    sizes: dict[str, Any], message: str, data: Path
) -> None:
    with refused(message, data / "new"):
        stage("start", data / "features", data / "new", params=write_params(data, sizes=sizes))


def begin_of(data: Path, checkpoint: Path) -> None:
    """The start stage on a pretrained model, whose tokenizer cut the texts where it has eos."""
    pinned = {"name": str(checkpoint), "revision": sha256(checkpoint / "model.safetensors")}
    params = write_params(data, model="pretrained", checkpoint=pinned)
    stage("start", data / "features", data / "new", params=params)


def masked(folder: Path) -> None:
    """A pretrained RoBERTa with the head that tells a masked token."""
    AutoModelForMaskedLM.from_config(AutoConfig.from_pretrained(folder)).save_pretrained(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        case("M26 an encoder without a head", lambda folder: None,
             "lacks weights of a language model: lm_head"),
        case("M26 an encoder with its head", masked, "its model sees the tokens that follow, as "),
    ],
)  # fmt: skip
def test_an_encoders_checkpoint_is_refused(
    change: Callable[[Path], None], message: str, data: Path
) -> None:
    folder = data / "roberta"
    tiny.write_checkpoint(folder, "roberta")
    change(folder)
    pinned = PretrainedParams(str(folder), sha256(folder / "model.safetensors"))
    run_tokenize(data, checkpoint=pinned, tokenizer="checkpoint")
    with refused(message, data / "new"):
        begin_of(data, folder)


def test_m25_blocks_of_another_vocabulary_are_refused(data: Path) -> None:
    run_tokenize(data, vocabulary_size=290)
    with refused(r"tokenizer: the blocks were made with another vocabulary than ", data / "new"):
        begin_of(data, data / "before")


def test_m25_fewer_embeddings_than_tokens_are_refused(data: Path) -> None:
    model: Any = load(data / "before")
    model.resize_token_embeddings(299)
    model.save_pretrained(data / "before")
    with refused("has embeddings for 299 tokens, but its tokenizer has 300", data / "new"):
        begin_of(data, data / "before")


def no_numbers(folder: Path) -> None:
    model: Any = load(folder)
    with torch.no_grad():
        model.transformer.ln_f.weight.fill_(torch.nan)
    model.save_pretrained(folder)


def test_m27_a_loss_that_is_no_number_stops_the_training(data: Path) -> None:
    no_numbers(data / "before")
    with refused(
        r"the loss is nan at step 1 .*; lower language_model\.train\.lr", data / "o/after"
    ):
        run(data, data / "o")


@pytest.mark.parametrize(
    "name", [case("M28 to be trained", "train"), case("M28 to be continued", "generate")]
)
def test_a_model_for_other_blocks_is_refused(name: str, data: Path) -> None:
    run_tokenize(data, block_size=32)
    refuse(data, name, "before: made from other features than .*features; run `dvc repro`")


def torn(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-8])


def incomplete(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["transformer.ln_f.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def strange(folder: Path) -> None:
    (folder / "config.json").write_text('{"auto_map": {"AutoModelForCausalLM": "a.B"}}')


@pytest.mark.parametrize("name", ["train", "generate", "perplexity", "plots"])
@pytest.mark.parametrize(
    ("spoil", "again", "message"),
    [
        case("M29 torn weights", torn, True, "before: not a complete model: .*; where a st"),
        case("M29 a weight that lacks", incomplete, True,
             r"model\.safetensors differ in transformer\.ln_f\.weight; .*: run the stage that w"),
        case("M29 a way to code", strange, True, "refused because of 'auto_map'"),
        case("M29 changed since it was written", torn, False,
             r"model\.safetensors: damaged or changed since it was written"),
        case("M29 no model", shutil.rmtree, False, "before: no such folder; run the stage that"),
    ],
)  # fmt: skip
def test_a_model_that_is_not_whole_is_refused(
    spoil: Callable[[Path], None], again: bool, message: str, name: str, data: Path
) -> None:
    spoil(data / "before")
    if again:
        seal_again(data)
    refuse(data, name, message)
