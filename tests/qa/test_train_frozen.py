"""Training on a frozen encoder: what is trained, what it costs, what is stored."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tiny
import torch
import yaml
from safetensors.torch import load_file
from stage_runs import said_by_stage
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from training_runs import FROZEN, base, outputs, run, write_features

from retune.core.manifests import seal
from retune.tasks.qa.postprocess.postprocess import PostprocessParams, postprocess
from retune.tasks.qa.predict.predict import PredictParams, predict
from retune.tasks.qa.predict.reader import load
from retune.tasks.qa.score.score import ScoreParams, figures, groups, scored
from retune.training.trainer import JointTrainer

PREDICT = PredictParams(4, "fp32")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_features(tmp_path_factory.mktemp("data"))


@pytest.mark.parametrize("name", FROZEN)
def test_frozen_weights_get_no_gradient_and_no_state_and_stay(
    name: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, seen = JointTrainer.training_step, []
    before: dict[str, torch.Tensor] = {}

    def looked_at(self: JointTrainer, *arguments: Any) -> torch.Tensor:
        weights = dict(self.model.named_parameters())
        before.update({n: w.clone() for n, w in weights.items() if n not in before})
        loss = step(self, *arguments)
        assert all((w.grad is None) != w.requires_grad for w in weights.values())
        seen.append(self)
        return loss

    monkeypatch.setattr(JointTrainer, "training_step", looked_at)
    run(data, tmp_path, **FROZEN[name])
    trainer = seen[-1]
    weights = dict(trainer.model.named_parameters())
    trained = {id(w) for w in weights.values() if w.requires_grad}
    assert {id(w) for w in trainer.optimizer.state} == trained
    moved = {n for n, w in weights.items() if not torch.equal(w, before[n])}
    assert moved <= {n for n, w in weights.items() if w.requires_grad}
    assert any("qa_outputs" in n for n in moved)
    assert len(moved) > 4
    (costs,) = json.loads((tmp_path / "costs.json").read_text())["qa"]["details"]
    assert costs["parameters"] == sum(w.numel() for w in weights.values())
    assert costs["trained_parameters"] == sum(w.numel() for w in weights.values()
                                              if w.requires_grad)  # fmt: skip
    assert costs["full_model_bytes"] == 4 * costs["parameters"]
    assert costs["model_bytes"] == (tmp_path / "model/bundle.safetensors").stat().st_size


@pytest.fixture(scope="module")
def families(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Features and an encoder of each family."""
    roberta = write_features(tmp_path_factory.mktemp("roberta"), family="roberta")
    return {"bert": data, "roberta": roberta}


@pytest.mark.parametrize("family", ["bert", "roberta"])
@pytest.mark.parametrize("name", FROZEN)
def test_the_published_model_is_the_bundle_of_the_best_epoch(
    name: str, family: str, families: dict[str, Path], tmp_path: Path
) -> None:
    data = families[family]
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
            own = key.removeprefix(f"{family}.").replace(".base_layer", "")
            assert torch.equal(value, encoder[own])


def test_all_is_trained_and_counted_in_the_plain_variant(data: Path, tmp_path: Path) -> None:
    run(data, tmp_path, epochs=1)
    (costs,) = json.loads((tmp_path / "costs.json").read_text())["qa"]["details"]
    assert costs["trained_parameters"] == costs["parameters"]
    assert 0 < costs["model_bytes"] - costs["full_model_bytes"] < 10_000  # names and shapes


def test_the_penalty_of_a_fusion_is_part_of_the_loss(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = outputs(run(data, tmp_path / "one", epochs=2, **FROZEN["fusion"]))
    monkeypatch.setattr(FROZEN["fusion"]["variant"], "fusion_penalty", lambda _: 0.0)
    without = outputs(run(data, tmp_path / "two", epochs=2, **FROZEN["fusion"]))
    assert plain["train.csv"] != without["train.csv"]


def answered(data: Path, folder: Path, *, squad_v2: bool) -> tuple[dict[str, str], dict[str, Any]]:
    """Answers and figures by group, from the logits in `folder`."""
    places = data / "raw", data / "features", folder / "logits", folder / "predictions"
    options: dict[str, Any] = {"squad_v2": squad_v2, "split": "validation"}
    postprocess(*places, PostprocessParams(5, 10, 0.0), **options)
    scores = scored(data / "raw", folder / "predictions", folder / "scores", ScoreParams("squad"),
                    **options)  # fmt: skip
    texts = json.loads((folder / "predictions/predictions.json").read_bytes())
    parts = groups(scores, squad_v2=squad_v2)
    return texts, {name: figures(group) for name, group in parts.items()}


def test_an_adapter_learns_which_questions_have_no_answer(tmp_path: Path) -> None:
    data = write_features(tmp_path / "data", squad_v2=True)
    # Such an encoder tells tokens apart, as a random one of the usual small weights does not.
    tiny.write_checkpoint(data / "encoder", initializer_range=0.2)
    model = replace(FROZEN["adapter"]["model"], reduction=1, dropout=0.0)
    changes = {"epochs": 40, "lr": 2e-2, "squad_v2": True}
    run(data, tmp_path, **FROZEN["adapter"] | {"model": model} | changes)
    predict(data / "features", load("bert_adapter", tmp_path / "model"), tmp_path / "logits",
            PREDICT, "validation")  # fmt: skip
    texts, figures = answered(data, tmp_path, squad_v2=True)
    assert [id_ for id_, text in texts.items() if not text] == [f"{row}-none" for row in range(4)]
    assert {name: group["questions"] for name, group in figures.items()} == {
        "all": 12, "HasAns": 8, "NoAns": 4,
    }  # fmt: skip
    assert figures["NoAns"]["exact_match"] == 100
    assert figures["HasAns"]["f1"] > 80
    curve = pd.read_csv(tmp_path / "curves/validation.csv")
    assert figures["all"]["f1"] == pytest.approx(curve["f1"].max())


@pytest.mark.parametrize("name", FROZEN)
def test_a_fresh_process_reads_the_bundle_to_the_same_bits(
    name: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    end, seen = JointTrainer.train_to_the_end, []

    def noted(self: JointTrainer, *arguments: Any) -> Any:
        seen.append(self)
        return end(self, *arguments)

    monkeypatch.setattr(JointTrainer, "train_to_the_end", noted)
    run(data, tmp_path, epochs=1, lr=1e-2, **FROZEN[name])
    predict(data / "features", seen[0].inner, tmp_path / "here", PREDICT, "validation")
    seal(tmp_path / "model", {"inputs": {}, "params": {}})
    variant = FROZEN[name]["variant"].__name__.rpartition(".")[2]
    base = {"name": str(data / "encoder"), "revision": "0" * 64}
    params = {
        "qa": {
            "model": variant,
            "checkpoint": base,
            "predict": {"batch_size": 4, "precision": "fp32"},
        }
    }
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(params))
    scored_features = tmp_path / "test_features"  # as the stage expects them
    shutil.copytree(data / "features", scored_features)
    (scored_features / "validation.arrow").rename(scored_features / "test.arrow")
    seal(scored_features, {"inputs": {}, "params": {}})
    said_by_stage("qa", tmp_path, "predict", str(scored_features), "model", "logits")
    one, two = (tmp_path / place / "logits.npy" for place in ("here", "logits"))
    assert one.read_bytes() == two.read_bytes()
    texts, _ = answered(data, tmp_path, squad_v2=False)
    assert any(texts.values())


def test_the_curves_are_in_tensorboard_too(data: Path, tmp_path: Path) -> None:
    run(data, tmp_path, **FROZEN["adapter"])
    log = EventAccumulator(str(tmp_path / "logs/tensorboard")).Reload()
    for part, name, column in (("train", "train/loss", "loss"), ("validation", "eval/f1", "f1")):
        rows = pd.read_csv(tmp_path / f"curves/{part}.csv")
        events = log.Scalars(name)
        assert [event.step for event in events] == rows["step"].tolist()
        assert [event.value for event in events] == pytest.approx(rows[column].tolist())
