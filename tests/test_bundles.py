"""Bundles: what was trained on a frozen encoder, stored without it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForQuestionAnswering,
    AutoModelForTokenClassification,
    BertConfig,
    DistilBertConfig,
    PreTrainedModel,
    RobertaConfig,
)

from retune.borrowing import BundleParams, adapter_params, bundle_folder, load_adapter
from retune.bundles import AdapterParts, LoraParts, Parts, insert, load, publish
from retune.checkpoints import CheckpointParams
from retune.encoders import encoder_config, load_encoder
from retune.errors import RetuneError
from retune.layers.adapters import AdapterParams
from retune.storage import sha256

SIZES: dict[str, Any] = {
    "vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 24, "max_position_embeddings": 40,
}  # fmt: skip
CONFIGS = {
    "bert": BertConfig(**SIZES),
    "wide bert": BertConfig(**SIZES | {"hidden_size": 32}),
    "roberta": RobertaConfig(**SIZES, pad_token_id=0, type_vocab_size=1),
    "distilbert": DistilBertConfig(vocab_size=60, dim=16, n_heads=2, n_layers=1, hidden_dim=24),
}
PFEIFFER = AdapterParams("pfeiffer", 4, "gelu", "whole", None)
HOULSBY = AdapterParams("houlsby", 4, "swish", "attention", None)
LANGUAGE = AdapterParams("pfeiffer", 2, "relu", "whole", 2)
LORA = LoraParts(2, 4.0, 0.1, ["query", "value"])
PARTS: dict[str, Parts] = {
    "pfeiffer": AdapterParts({"qa": PFEIFFER}, ["qa"]),
    "houlsby": AdapterParts({"qa": HOULSBY}, ["qa"]),
    "stack": AdapterParts({"language": LANGUAGE, "qa": PFEIFFER}, ["language", "qa"]),
    "fusion": AdapterParts({"qa": PFEIFFER, "entities": PFEIFFER}, [["qa", "entities"]]),
    "lora": LORA,
}
QA = AutoModelForQuestionAnswering
IDS = torch.tensor([[5, 6, 7, 8, 9, 10, 11], [12, 13, 14, 15, 16, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0, 0]])


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random encoder of each configuration, and one of the same sizes again."""
    top = tmp_path_factory.mktemp("encoders")
    for number, (name, config) in enumerate([*CONFIGS.items(), ("other bert", CONFIGS["bert"])]):
        torch.manual_seed(number)
        QA.from_config(config).base_model.save_pretrained(top / name)
    return top


def pin(encoder: Path) -> CheckpointParams:
    return CheckpointParams(str(encoder), sha256(encoder / "model.safetensors"))


def made(encoder: Path, parts: Parts, auto: Any = QA, seed: int = 5) -> PreTrainedModel:
    """A model whose parts and head are drawn at random, as if they had been trained."""
    model = load_encoder(auto, encoder, encoder_config(encoder, None))
    insert(model, parts)
    torch.manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.normal_(std=0.3)
    return model.eval()


def stored(model: PreTrainedModel, encoder: Path, folder: Path) -> Path:
    work = folder.with_name(f"{folder.name}-checkpoint")
    model.save_pretrained(work)
    publish(work, folder, pin(encoder), tiny.wordpiece())
    return folder


def logits(model: PreTrainedModel) -> torch.Tensor:
    with torch.inference_mode():
        return torch.cat(model(input_ids=IDS, attention_mask=MASK).to_tuple())


@pytest.mark.parametrize("family", ["bert", "roberta"])
@pytest.mark.parametrize("parts", PARTS)
def test_a_bundle_gives_the_same_bits_and_holds_no_weight_of_the_encoder(
    parts: str, family: str, encoders: Path, tmp_path: Path
) -> None:
    encoder = encoders / family
    model = made(encoder, PARTS[parts])
    folder = stored(model, encoder, tmp_path / "bundle")
    loaded = load(folder, QA)
    assert not loaded.training
    assert torch.equal(logits(loaded), logits(model))
    names = set(load_file(folder / "bundle.safetensors"))
    assert names == {name for name, weight in model.named_parameters() if weight.requires_grad}
    config = json.loads((folder / "config.json").read_text())
    base = {"name": str(encoder), "revision": pin(encoder).revision}
    assert config["bundle"]["base"] == base | {"sha256": pin(encoder).revision}
    assert {path.name for path in folder.iterdir()} == {
        "bundle.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip


@pytest.mark.parametrize("auto", [AutoModelForMaskedLM, AutoModelForTokenClassification])
def test_other_tasks_have_bundles_too(auto: Any, encoders: Path, tmp_path: Path) -> None:
    parts = AdapterParts({"language": LANGUAGE}, ["language"])
    model = made(encoders / "bert", parts, auto)
    loaded = load(stored(model, encoders / "bert", tmp_path / "bundle"), auto)
    assert torch.equal(logits(loaded), logits(model))


def test_a_bundle_is_no_model_for_transformers(encoders: Path, tmp_path: Path) -> None:
    folder = stored(made(encoders / "bert", LORA), encoders / "bert", tmp_path / "bundle")
    with pytest.raises(OSError, match=r"model\.safetensors"):
        QA.from_pretrained(folder)


def test_the_same_model_gives_the_same_bytes(encoders: Path, tmp_path: Path) -> None:
    one, two = (
        stored(made(encoders / "bert", PARTS["stack"]), encoders / "bert", tmp_path / name)
        for name in ("one", "two")
    )
    for path in one.iterdir():
        assert path.read_bytes() == (two / path.name).read_bytes()
