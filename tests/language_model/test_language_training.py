"""What a training writes, the same bytes again, and after being killed."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tiny
import torch
from kills import killed_at
from language_runs import OPTIMIZATION, outputs, run, write_data
from pydantic import ValidationError
from torch import nn

from retune.core.errors import RetuneError
from retune.models.pretrained_files import DECODER_TOKENS, load_tokenizer
from retune.processes.share import Share
from retune.tasks.language_model import models
from retune.tasks.language_model.perplexity.scores import text_likelihoods
from retune.tasks.language_model.texts.features import read_blocks
from retune.tasks.language_model.train.train import (
    Evaluation,
    TrainParams,
    next_token_loss,
)
from retune.training.resume import Checkpoints
from retune.training.trainer import JointTrainer


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def unbroken(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return outputs(run(data, tmp_path_factory.mktemp("unbroken")))


def read(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["language_model"]
    return values


def evaluated(data: Path, folder: Path) -> dict[str, float]:
    """What the evaluation says of the model in `folder`."""
    blocks = read_blocks(data / "features/validation.arrow", 300)
    return Evaluation(models.load(folder), blocks, TrainParams(**OPTIMIZATION))(Share())


def test_the_texts_are_learned_and_told(data: Path, tmp_path: Path) -> None:
    folder = run(data, tmp_path, epochs=40, lr=3e-2)
    curve = pd.read_csv(folder / "curves" / "validation.csv")
    assert list(curve) == ["step", "epoch", "loss", "perplexity"]
    before = evaluated(data, data / "before")
    assert curve["perplexity"].min() < before["perplexity"] / 10
    assert curve["perplexity"].tolist() == pytest.approx(np.exp(curve["loss"]).tolist())
    after = evaluated(data, folder / "after")
    assert after["loss"] == pytest.approx(curve["loss"].min(), rel=1e-6)

    model = models.load(folder / "after")
    (costs,), (times,) = (read(folder / f"{kind}.json")["details"] for kind in ("costs", "times"))
    count = len(read_blocks(data / "features/train.arrow", 300))
    assert costs == {
        "parameters": model.num_parameters(),
        "trained_parameters": model.num_parameters(),
        "train_blocks": 40 * count,
        "model_bytes": (folder / "after/model.safetensors").stat().st_size,
    }
    assert times["train_blocks_per_second"] > 0
    assert not list((folder / "checkpoints").iterdir())

    blocks = read_blocks(data / "features/train.arrow", 300)
    prompts, rest = torch.from_numpy(blocks[:, :12]), blocks[:, 12:]
    told = model.generate(prompts, max_new_tokens=4, do_sample=False, eos_token_id=None)
    assert (told[:, 12:].numpy() == rest).mean() > 0.6
    tokenizer = load_tokenizer(folder / "after", DECODER_TOKENS)
    assert tokenizer.decode(blocks[0].tolist()) in tiny.TEXTS[0]


def test_its_loss_is_transformers_and_its_perplexity_that_of_the_scores(data: Path) -> None:
    model = models.load(data / "before")
    ids = torch.from_numpy(read_blocks(data / "features/validation.arrow", 300))
    expected = model(input_ids=ids, labels=ids).loss.item()
    found = evaluated(data, data / "before")
    assert found["loss"] == pytest.approx(expected, rel=1e-6)
    scored = text_likelihoods(model, ids.tolist(), window=16, stride=8, batch_size=4)
    mean = sum(each.log_probability for each in scored) / sum(each.tokens for each in scored)
    assert found["perplexity"] == pytest.approx(math.exp(-mean), rel=1e-6)


def test_processes_share_the_evaluation(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = read_blocks(data / "features/validation.arrow", 300)
    evaluation = Evaluation(models.load(data / "before"), blocks, TrainParams(**OPTIMIZATION))
    totals = []
    monkeypatch.setattr(Share, "gathered", lambda _, value: totals.append(value) or [value])
    whole = evaluation(Share())["loss"]
    for index in range(3):
        evaluation(Share(index, 3))
    assert sum(totals[1:]) == pytest.approx(totals[0], rel=1e-6)
    assert whole == totals[0] / blocks[:, 1:].size


def test_a_part_of_a_batch_without_a_block_counts_for_nothing(data: Path) -> None:
    model = models.load(data / "before")
    loss = next_token_loss(model, torch.zeros(1, 1, dtype=torch.long))
    loss.backward()
    assert loss.item() == 0.0
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    assert gradients
    assert not any(gradient.any() for gradient in gradients)


def test_a_model_that_says_nothing_has_a_perplexity_that_is_a_number() -> None:
    class Wrong(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, input_ids: torch.Tensor, **_: Any) -> Any:
            logits = torch.zeros(*input_ids.shape, 3)
            logits[..., 0] = 1e4
            return type("Output", (), {"logits": logits})

    blocks = np.array([[1, 2, 1]])
    found = Evaluation(Wrong(), blocks, TrainParams(**OPTIMIZATION))(Share())  # type: ignore[arg-type]
    assert found == {"loss": 1e4, "perplexity": math.exp(700)}


def test_same_seed_same_bytes_and_another_seed_others(
    data: Path, tmp_path: Path, unbroken: dict[str, str]
) -> None:
    assert set(unbroken) >= {"config.json", "model.safetensors", "tokenizer.json", "costs.json"}
    assert outputs(run(data, tmp_path / "again")) == unbroken
    other = outputs(run(data, tmp_path / "other", seed=2))
    assert other["model.safetensors"] != unbroken["model.safetensors"]


@pytest.mark.parametrize(
    "kill",
    [
        pytest.param((1, "training_step"), id="T01 killed in the first step"),
        pytest.param((8, "training_step"), id="T01 killed in a later epoch"),
        pytest.param((3, "_save_rng_state"), id="T02 killed in a save"),
        pytest.param((2, "evaluate"), id="T10 killed in an evaluation"),
        pytest.param((1, "remove"), id="T01 killed after all is written"),
    ],
)
def test_a_killed_training_goes_on_to_the_same_bytes(
    kill: tuple[int, str], data: Path, tmp_path: Path, unbroken: dict[str, str],
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("RETUNE_CHECKPOINT_SECONDS", "0")
    call, method = kill
    owner: Any = Checkpoints if method == "remove" else JointTrainer
    with killed_at(call, owner, method):
        run(data, tmp_path, resumable=True)
    # A run with another seed never goes on from these checkpoints.
    if kill == (8, "training_step"):
        copy = tmp_path / "copy"
        shutil.copytree(tmp_path / "checkpoints", copy / "checkpoints")
        capsys.readouterr()
        run(data, copy, resumable=True, seed=2)
        assert "resuming from step" not in capsys.readouterr().err
    capsys.readouterr()
    assert outputs(run(data, tmp_path, resumable=True)) == unbroken
    assert ("resuming from step" in capsys.readouterr().err) == (kill != (1, "training_step"))


def test_training_stops_and_the_best_epoch_by_loss_is_kept(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([9.0, 3.0, 1.0, 2.0, 1.0, 0.5])  # the first before the training
    monkeypatch.setattr(
        Evaluation, "__call__", lambda *_: {"loss": (loss := next(losses)), "perplexity": loss}
    )
    folder = run(data, tmp_path, epochs=9, patience=2)
    curve = pd.read_csv(folder / "curves" / "validation.csv")
    assert curve["loss"].tolist() == [3, 1, 2, 1]


def test_steps_of_accumulated_batches_are_those_of_a_whole_one(tmp_path: Path) -> None:
    """Of eight blocks each, so that both are the same mean; as far as rounding lets them."""
    small = write_data(tmp_path / "data", train_blocks=8)
    changes = {"epochs": 2, "max_grad_norm": 0.0}
    whole = run(small, tmp_path / "whole", batch_size=8, **changes)
    parts = run(small, tmp_path / "parts", batch_size=2, gradient_accumulation=4, **changes)
    curves = [pd.read_csv(f / "curves/validation.csv")["loss"] for f in (whole, parts)]
    assert len(curves[0]) == 2
    assert curves[1].tolist() == pytest.approx(curves[0].tolist(), rel=2e-2)


def test_bf16_trains_too(data: Path, tmp_path: Path) -> None:
    folder = run(data, tmp_path, precision="bf16")
    curve = pd.read_csv(folder / "curves/validation.csv")
    assert curve["loss"].min() < evaluated(data, data / "before")["loss"]


def test_a_loss_that_is_no_number_stops_the_training(data: Path, tmp_path: Path) -> None:
    model = models.load(data / "before")
    with torch.no_grad():
        model.transformer.ln_f.weight.fill_(torch.nan)
    shutil.copytree(data, tmp_path / "data")
    model.save_pretrained(tmp_path / "data/before")
    with pytest.raises(
        RetuneError, match=r"the loss is nan at step 1 .*; lower language_model\.tr"
    ):
        run(tmp_path / "data", tmp_path / "run")
    assert not (tmp_path / "run/after").exists()


@pytest.mark.parametrize(
    ("name", "value"), [("lr", 0.0), ("epochs", 0), ("precision", "fp8"), ("block_size", 9)]
)
def test_bad_settings_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=name):
        TrainParams(**OPTIMIZATION | {name: value})


def test_the_corpus_is_more_than_one_batch(data: Path) -> None:
    assert len(tiny.TEXTS) < len(read_blocks(data / "features/train.arrow", 300))
