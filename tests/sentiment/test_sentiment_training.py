"""What a training writes, the same bytes again, and after being killed."""

import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
import torch
from gradients import Gradients
from kills import killed_at
from sentiment_runs import MODULES, PARAMS, SENTENCES, outputs, run, write_data, write_features
from two_processes import in_threads

from retune.core.errors import RetuneError
from retune.core.files import read_json_lines
from retune.models.pretrained_files import load_tokenizer
from retune.processes.share import Share
from retune.tasks.sentiment import models
from retune.tasks.sentiment.predict.batches import Collator
from retune.tasks.sentiment.predict.predict import PredictParams, logits_of, predict
from retune.tasks.sentiment.texts.features import Rows, read_rows
from retune.tasks.sentiment.texts.predictions import positive_probabilities
from retune.tasks.sentiment.train.train import Evaluation
from retune.training.resume import Checkpoints
from retune.training.seeding import seed_everything
from retune.training.trainer import JointTrainer


@pytest.fixture(
    scope="module",
    params=[{}, {"adversarial_epsilon": 0.5, "ema_decay": 0.2}],
    ids=["plain", "adversarial, averaged"],
)
def settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {"model": "lstm", **request.param}


@pytest.fixture(scope="module")
def unbroken(
    data: Path, settings: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    return outputs(run(data, tmp_path_factory.mktemp("unbroken"), **settings))


def read(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["sentiment"]
    return values


@pytest.mark.parametrize("name", list(MODULES))
def test_what_is_good_is_learned_and_told(name: str, data: Path, tmp_path: Path) -> None:
    rate = 4e-3 if name == "bert" else 5e-2
    folder = run(data, tmp_path, model=name, epochs=15, lr=rate)
    curve = pd.read_csv(folder / "curves" / "validation.csv")
    assert list(curve) == ["step", "epoch", "accuracy", "loss"]
    assert curve["accuracy"].max() == 100.0
    model = models.load(name, folder / "model")
    (costs,), (times,) = (read(folder / f"{kind}.json")["details"] for kind in ("costs", "times"))
    assert costs["parameters"] == costs["trained_parameters"] == model.num_parameters()
    assert costs["train_texts"] == 15 * (len(SENTENCES) + 1)
    assert costs["model_bytes"] == (folder / "model" / "model.safetensors").stat().st_size
    assert times["train_texts_per_second"] > 0
    assert not list((folder / "checkpoints").iterdir())

    told = predict(
        data / "raw", data / "features", model, tmp_path / "predictions", PredictParams(3, "fp32")
    )
    assert told == "8 texts, 50.0% of them positive"
    lines = list(read_json_lines(tmp_path / "predictions" / "predictions.jsonl"))
    assert [line["id"] for line in lines] == [f"validation-{n}" for n in range(8)]
    assert [line["positive"] > 0.5 for line in lines] == [label == 1 for _, label in SENTENCES[4:]]
    for line in lines:
        expected = torch.tensor(line["logits"], dtype=torch.float64).softmax(0)[1].item()
        assert line["positive"] == pytest.approx(expected, abs=1e-14)


def test_same_seed_same_bytes_and_another_seed_others(
    data: Path, tmp_path: Path, settings: dict[str, Any], unbroken: dict[str, str]
) -> None:
    assert outputs(run(data, tmp_path / "again", **settings)) == unbroken
    other = outputs(run(data, tmp_path / "other", **settings, seed=2))
    assert other["model.safetensors"] != unbroken["model.safetensors"]


@pytest.mark.parametrize(
    "kill",
    [
        pytest.param((1, "training_step"), id="T01 killed in the first step"),
        pytest.param((6, "training_step"), id="T01 killed in a later epoch"),
        pytest.param((3, "_save_rng_state"), id="T02 killed in a save"),
        pytest.param((2, "evaluate"), id="T10 killed in an evaluation"),
        pytest.param((1, "remove"), id="T01 killed after all is written"),
    ],
)
def test_a_killed_training_goes_on_to_the_same_bytes(
    kill: tuple[int, str], data: Path, tmp_path: Path, settings: dict[str, Any],
    unbroken: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("RETUNE_CHECKPOINT_SECONDS", "0")
    call, method = kill
    owner: Any = Checkpoints if method == "remove" else JointTrainer
    with killed_at(call, owner, method):
        run(data, tmp_path, **settings, resumable=True)
    # A run with another seed never goes on from these checkpoints.
    if kill == (6, "training_step"):
        copy = tmp_path / "copy"
        shutil.copytree(tmp_path / "checkpoints", copy / "checkpoints")
        capsys.readouterr()
        run(data, copy, **settings, resumable=True, seed=2)
        assert "resuming from step" not in capsys.readouterr().err
    capsys.readouterr()
    assert outputs(run(data, tmp_path, **settings, resumable=True)) == unbroken
    assert ("resuming from step" in capsys.readouterr().err) == (kill != (1, "training_step"))


def test_training_stops_and_the_best_epoch_by_accuracy_is_kept(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    coming = iter([10.0, 50.0, 20.0, 50.0, 50.0])
    monkeypatch.setattr(Evaluation, "__call__", lambda *_: {"loss": 1.0, "accuracy": next(coming)})
    folder = run(data, tmp_path, epochs=9, patience=2)
    curve = pd.read_csv(folder / "curves" / "validation.csv")
    assert curve["accuracy"].tolist() == [10, 50, 20, 50]


def test_processes_share_the_evaluation_and_agree(data: Path, tmp_path: Path) -> None:
    folder = run(data, tmp_path, model="lstm", epochs=1)
    model, rows = (
        models.load("lstm", folder / "model"),
        read_rows(data / "features" / "validation.arrow"),
    )
    collate = Collator.for_model(model, load_tokenizer(folder / "model"))
    params = PredictParams(3, "fp32")
    whole = logits_of(model, rows, collate, params)
    parts = in_threads(3, lambda share: logits_of(model, rows, collate, params, share))
    assert [part.tobytes() for part in parts] == [whole.tobytes()] * 3
    found = Evaluation(model, rows, collate, params)(Share())
    labels = torch.tensor(rows.labels.astype(np.int64))
    loss = torch.nn.functional.cross_entropy(torch.tensor(whole), labels).item()
    assert found["loss"] == pytest.approx(loss, rel=1e-6)
    right = (positive_probabilities(whole) > 0.5) == (rows.labels == 1)
    assert found["accuracy"] == 100.0 * right.mean()


def test_predictions_of_what_does_not_belong_together_are_refused(
    data: Path, tmp_path: Path
) -> None:
    folder = run(data, tmp_path / "run", epochs=1)
    model, params = models.load("bag_of_embeddings", folder / "model"), PredictParams(3, "fp32")
    raw = tmp_path / "raw"
    raw.mkdir()
    lines = (data / "raw" / "validation.jsonl").read_text(encoding="utf-8").splitlines()
    (raw / "validation.jsonl").write_text("\n".join(lines[:-1]), encoding="utf-8")
    with pytest.raises(RetuneError, match=r"has 8 validation texts, but .* has 7"):
        predict(raw, data / "features", model, tmp_path / "p", params)
    model.config.vocab_size = 3
    with pytest.raises(RetuneError, match="embeddings for 3 tokens, but its tokenizer"):
        predict(data / "raw", data / "features", model, tmp_path / "p", params)
    assert not (tmp_path / "p").exists()


def test_a_logit_that_is_no_number_is_named(data: Path, tmp_path: Path) -> None:
    model = models.load("bag_of_embeddings", run(data, tmp_path, epochs=1) / "model")
    with torch.no_grad():
        model.embedding.weight[9] = torch.nan
    rows = Rows(np.array([7, 8, 9], np.int32), np.array([0, 1, 3]), np.array([0, 1], np.int8))
    with pytest.raises(RetuneError, match="not a number at text 2; the model is broken"):
        logits_of(model, rows, Collator(0, False, None), PredictParams(2, "fp32"))


def test_texts_longer_than_the_encoder_reads_are_refused(tmp_path: Path) -> None:
    data = write_data(tmp_path, [("home " * 200, 1)])
    write_features(data, max_length=150)
    with pytest.raises(RetuneError, match=r"max_length: 150 tokens are more than the 128 posit"):
        run(data, tmp_path / "run", model="bert")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", list(MODULES))
def test_perturbations_change_weights_and_nothing_that_they_cost(
    name: str, precision: str, data: Path, tmp_path: Path
) -> None:
    plain, perturbed = (
        outputs(run(data, tmp_path / str(epsilon), model=name, epochs=1, precision=precision,
                    adversarial_epsilon=epsilon))
        for epsilon in (0.0, 0.5)
    )  # fmt: skip
    assert perturbed["model.safetensors"] != plain["model.safetensors"]
    assert perturbed["costs.json"] == plain["costs.json"]


@pytest.mark.parametrize("name", ["lstm", "bag_of_embeddings"])
def test_frozen_embeddings_are_perturbed_and_stay(
    name: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen = replace(PARAMS[name], pretrained_embeddings=True, freeze_embeddings=True)
    monkeypatch.setitem(PARAMS, name, frozen)
    plain, perturbed = (
        models.load(name, run(data, tmp_path / str(e), model=name, adversarial_epsilon=e) / "model")
        for e in (0.0, 0.5)
    )
    before, after = plain.state_dict(), perturbed.state_dict()
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed
    assert "embedding.weight" not in changed


def first_gradients(data: Path, folder: Path, **changes: Any) -> dict[str, torch.Tensor]:
    """Those of the first step, which are not clipped."""
    gradients = Gradients()
    with patch("retune.training.trainer.training_callbacks", lambda *_: [gradients]):
        run(data, folder, epochs=1, max_grad_norm=0.0, adversarial_epsilon=0.5, **changes)
    return gradients.steps[0]


def test_accumulated_batches_have_the_gradient_of_one(data: Path, tmp_path: Path) -> None:
    """In the same order, and each text is perturbed as if it were alone."""
    one, parts = (
        first_gradients(data, tmp_path / str(n), batch_size=4 // n, gradient_accumulation=n,
                        group_by_length=False)
        for n in (1, 2)
    )  # fmt: skip
    for name, value in one.items():
        torch.testing.assert_close(parts[name], value, msg=name)


def test_the_gradient_is_that_of_texts_and_of_perturbed_ones(data: Path, tmp_path: Path) -> None:
    found = first_gradients(data, tmp_path, batch_size=99)
    rows = read_rows(data / "features" / "train.arrow")
    tokenizer = load_tokenizer(data / "features" / "tokenizer")
    seed_everything(1)
    build = partial(MODULES["bag_of_embeddings"].build, PARAMS["bag_of_embeddings"])
    model = build(data / "encoder", len(tokenizer), tokenizer.pad_token_id)
    batch = Collator.for_model(model, tokenizer)(list(rows))
    words, mask = batch["input_ids"], batch["attention_mask"].unsqueeze(2)

    def loss(embeddings: torch.Tensor) -> torch.Tensor:
        mean = (embeddings * mask).sum(1) / mask.sum(1)
        return torch.nn.functional.cross_entropy(model.output(mean), batch["labels"])

    embeddings = model.embedding(words)
    (gradient,) = torch.autograd.grad(loss(embeddings), embeddings)
    moves = [0.5 * of_text / of_text.norm() for of_text in gradient]
    both = loss(model.embedding(words)) + loss(model.embedding(words) + torch.stack(moves))
    expected = torch.autograd.grad(both, list(model.parameters()))
    for (name, _), value in zip(model.named_parameters(), expected, strict=True):
        torch.testing.assert_close(found[name], value, msg=name)
