"""Training on a frozen encoder: what is trained, what it costs, what is stored."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from training_runs import FROZEN, base, outputs, run, write_features

from retune.qa.models import load
from retune.qa.train import SpanTrainer


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_features(tmp_path_factory.mktemp("data"))


@pytest.mark.parametrize("name", FROZEN)
def test_frozen_weights_get_no_gradient_and_no_state_and_stay(
    name: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, seen = SpanTrainer.training_step, []
    before: dict[str, torch.Tensor] = {}

    def looked_at(self: SpanTrainer, *arguments: Any) -> torch.Tensor:
        weights = dict(self.model.named_parameters())
        before.update({n: w.clone() for n, w in weights.items() if n not in before})
        loss = step(self, *arguments)
        assert all((w.grad is None) != w.requires_grad for w in weights.values())
        seen.append(self)
        return loss

    monkeypatch.setattr(SpanTrainer, "training_step", looked_at)
    run(data, tmp_path, **FROZEN[name])
    trainer = seen[-1]
    weights = dict(trainer.model.named_parameters())
    trained = {id(w) for w in weights.values() if w.requires_grad}
    assert {id(w) for w in trainer.optimizer.state} == trained
    moved = {n for n, w in weights.items() if not torch.equal(w, before[n])}
    assert moved <= {n for n, w in weights.items() if w.requires_grad}
    assert any("qa_outputs" in n for n in moved)
    assert len(moved) > 4
    costs = json.loads((tmp_path / "costs.json").read_text())["qa"]
    assert costs["parameters"] == sum(w.numel() for w in weights.values())
    assert costs["trained_parameters"] == sum(w.numel() for w in weights.values()
                                              if w.requires_grad)  # fmt: skip
    (details,) = costs["details"]
    assert details["full_model_bytes"] == 4 * costs["parameters"]
    assert details["model_bytes"] == (tmp_path / "model/bundle.safetensors").stat().st_size


@pytest.mark.parametrize("name", FROZEN)
def test_the_published_model_is_the_bundle_of_the_best_epoch(
    name: str, data: Path, tmp_path: Path
) -> None:
    run(data, tmp_path, **FROZEN[name])
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [
        "bundle.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip
    config = json.loads((tmp_path / "model/config.json").read_text())
    assert config["bundle"]["base"]["sha256"] == base(data).revision
    assert set(config["bundle"].get("sources", {})) == (
        {"qa", "entities"} if name == "fusion" else set()
    )
    variant = FROZEN[name]["variant"].__name__.rpartition(".")[2]
    weights = load(variant, tmp_path / "model").state_dict()
    stored = load_file(tmp_path / "model/bundle.safetensors")
    encoder = load_file(data / "encoder/model.safetensors")
    assert all(torch.equal(weights[key], value) for key, value in stored.items())
    for key, value in weights.items():
        if key not in stored:
            own = key.removeprefix("bert.").replace(".base_layer", "")
            assert torch.equal(value, encoder[own])


def test_all_is_trained_and_counted_in_the_plain_variant(data: Path, tmp_path: Path) -> None:
    run(data, tmp_path, epochs=1)
    costs = json.loads((tmp_path / "costs.json").read_text())["qa"]
    assert costs["trained_parameters"] == costs["parameters"]
    (details,) = costs["details"]
    assert 0 < details["model_bytes"] - details["full_model_bytes"] < 10_000  # names and shapes


def test_the_penalty_of_a_fusion_is_part_of_the_loss(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = outputs(run(data, tmp_path / "one", epochs=2, **FROZEN["fusion"]))
    monkeypatch.setattr(FROZEN["fusion"]["variant"], "fusion_penalty", lambda _: 0.0)
    without = outputs(run(data, tmp_path / "two", epochs=2, **FROZEN["fusion"]))
    assert plain["train.csv"] != without["train.csv"]
