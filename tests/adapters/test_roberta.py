"""Both trainings on an encoder of the RoBERTa family, whose tokens are pairs of bytes."""

from pathlib import Path
from typing import Any

import pytest
import torch
from adapter_runs import metrics, run_entities, run_language, write_data
from safetensors.torch import load_file
from transformers import AutoModelForMaskedLM, AutoModelForTokenClassification

from retune.adapters import bundles

HEAD = [
    "lm_head.bias",
    "lm_head.dense.bias",
    "lm_head.dense.weight",
    "lm_head.layer_norm.bias",
    "lm_head.layer_norm.weight",
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"), head=True, family="roberta")


@pytest.fixture(scope="module")
def language(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_language(data, tmp_path_factory.mktemp("language"), epochs=12, block_size=48)


def encoder_of(folder: Path) -> dict[str, torch.Tensor]:
    """The weights of the checkpoint's encoder, as a model with a head names them."""
    weights = load_file(folder / "encoder/model.safetensors")
    return {f"roberta.{name.removeprefix('roberta.')}": weight for name, weight in weights.items()
            if not name.startswith("lm_head.")}  # fmt: skip


def require_same_encoder(model: Any, folder: Path) -> None:
    here, own = model.state_dict(), encoder_of(folder)
    shared = [name for name in own if name in here]
    assert len(shared) > 30
    assert all(torch.equal(here[name], own[name]) for name in shared)


def test_a_language_is_learned_by_the_adapter_alone(language: Path, data: Path) -> None:
    told = metrics(language, "language")
    (details,) = told["details"]
    assert told["perplexity"] < details["perplexity_before"]
    assert details["trained_head"] == []
    model = bundles.load(language / "bundle", AutoModelForMaskedLM)
    require_same_encoder(model, data)
    kept = bundles.bundle_weights(language / "bundle")
    head = load_file(data / "encoder/model.safetensors")
    assert all(torch.equal(kept[name], head[name]) for name in HEAD)


def test_a_head_that_the_checkpoint_lacks_is_trained_too(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", family="roberta")
    folder = run_language(data, tmp_path / "run", epochs=4, block_size=48)
    (details,) = metrics(folder, "language")["details"]
    assert details["trained_head"] == HEAD
    model = bundles.load(folder / "bundle", AutoModelForMaskedLM)
    require_same_encoder(model, data)
    assert model.get_parameter("lm_head.bias").count_nonzero() > 0  # at first all are 0


@pytest.mark.parametrize("stacked", [False, True])
def test_entities_are_learned_alone_and_on_the_language(
    stacked: bool, data: Path, language: Path, tmp_path: Path
) -> None:
    below = language / "bundle" if stacked else None
    folder = run_entities(
        data, tmp_path, language=below, epochs=30, lr=2e-2, max_length=64, dropout=0.0,
        validation="train.conll",
    )  # fmt: skip
    assert metrics(folder, "entities")["f1"] > 80
    model = bundles.load(folder / "bundle", AutoModelForTokenClassification)
    require_same_encoder(model, data)
    kept = bundles.bundle_weights(folder / "bundle")
    lent = bundles.bundle_weights(language / "bundle")
    borrowed = [name for name in kept if ".language." in name]
    assert bool(borrowed) == stacked
    assert all(torch.equal(kept[name], lent[name]) for name in borrowed)
