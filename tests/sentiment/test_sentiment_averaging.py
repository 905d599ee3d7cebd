"""The moving average of a training's weights: what it is, and that it is what is kept."""

from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from sentiment_runs import run
from transformers import TrainerCallback

from retune.models.pretrained_files import load_tokenizer
from retune.processes.share import Share
from retune.tasks.sentiment import models
from retune.tasks.sentiment.predict.batches import Collator
from retune.tasks.sentiment.predict.predict import PredictParams
from retune.tasks.sentiment.texts.features import read_rows
from retune.tasks.sentiment.train.train import Evaluation

DECAY = 0.3  # in force from the third step on: 3 / 12 < 0.3 < 4 / 13


class Weights(TrainerCallback):
    """Keeps the weights of before a training, and after each of its steps."""

    def __init__(self) -> None:
        self.steps: list[dict[str, torch.Tensor]] = []

    def on_train_begin(self, *_: Any, model: torch.nn.Module, **__: Any) -> None:
        self._keep(model)

    def on_step_end(self, *_: Any, model: torch.nn.Module, **__: Any) -> None:
        self._keep(model)

    def _keep(self, model: torch.nn.Module) -> None:
        self.steps.append({k: v.detach().clone() for k, v in model.named_parameters()})


def trained(data: Path, folder: Path, **changes: Any) -> list[dict[str, torch.Tensor]]:
    """Train an LSTM into `folder`, mostly for an epoch; its weights before and after all steps."""
    weights = Weights()
    with patch("retune.training.trainer.training_callbacks", lambda *_: [weights]):
        run(data, folder, **{"model": "lstm", "epochs": 1, "ema_decay": DECAY, **changes})
    return weights.steps


def test_what_is_kept_is_the_average_of_which_older_steps_fade(data: Path, tmp_path: Path) -> None:
    before, *steps = trained(data, tmp_path)
    assert len(steps) > 2
    kept = load_file(tmp_path / "model" / "model.safetensors")
    for key in kept:
        average = before[key]
        for step, weights in enumerate(steps, start=1):
            share = min(DECAY, (1 + step) / (10 + step))
            average = share * average + (1 - share) * weights[key]
        torch.testing.assert_close(kept[key], average, msg=key)
    assert any(not torch.allclose(kept[key], steps[-1][key]) for key in kept)


def test_what_is_evaluated_is_what_is_kept(data: Path, tmp_path: Path) -> None:
    trained(data, tmp_path, ema_decay=0.9, batch_size=2)
    model = models.load("lstm", tmp_path / "model")
    collate = Collator.for_model(model, load_tokenizer(tmp_path / "model"))
    rows = read_rows(data / "features" / "validation.arrow")
    expected = Evaluation(model, rows, collate, PredictParams(3, "fp32"))(Share())
    (told,) = pd.read_csv(tmp_path / "curves" / "validation.csv").to_dict("records")
    assert told["loss"] == pytest.approx(expected["loss"], rel=1e-6)


def test_steps_are_those_of_a_training_without_an_average(data: Path, tmp_path: Path) -> None:
    """Dropout included, and through three evaluations and checkpoints."""
    plain, averaged = (
        trained(data, tmp_path / str(decay), epochs=3, ema_decay=decay) for decay in (0.0, 0.9)
    )
    for step, (expected, found) in enumerate(zip(plain, averaged, strict=True)):
        for key in expected:
            assert torch.equal(found[key], expected[key]), f"{key} of step {step}"
    (one, other) = (tmp_path / folder / "curves" / "train.csv" for folder in ("0.0", "0.9"))
    assert one.read_bytes() == other.read_bytes()
