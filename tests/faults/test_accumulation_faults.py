"""Gradient accumulation whose last part is ragged: rows T."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import adapter_runs
import language_runs
import pandas as pd
import pytest
import sentiment_runs
import torch
import training_runs
from gradients import Gradients

Run = Callable[..., Path]


def questions(folder: Path) -> Run:
    data = training_runs.write_features(folder / "data", questions=8)
    return lambda target, **changes: training_runs.run(data, target, dropout=0.0, **changes)


def sentences(folder: Path) -> Run:
    data = sentiment_runs.write_data(folder / "data")
    sentiment_runs.write_features(data)
    return lambda target, **changes: sentiment_runs.run(data, target, **changes)


def entities(folder: Path) -> Run:
    data = adapter_runs.write_data(folder / "data")
    return lambda target, **changes: adapter_runs.run_entities(data, target, dropout=0.0, **changes)


def masked_words(folder: Path) -> Run:
    data = adapter_runs.write_data(folder / "data", head=True)
    return lambda target, **changes: adapter_runs.run_language(data, target, dropout=0.0, **changes)


def blocks(folder: Path) -> Run:
    model = replace(language_runs.SMALL, dropout=0.0)
    data = language_runs.write_data(folder / "data", model=model, train_blocks=8)
    return lambda target, **changes: language_runs.run(data, target, **changes)


def first_step(run: Run, folder: Path, **changes: Any) -> tuple[dict[str, torch.Tensor], float]:
    """The gradients of the first step, which are not clipped, and the loss that is logged."""
    gradients = Gradients()
    with patch("retune.training.trainer.training_callbacks", lambda *_: [gradients]):
        run(folder, epochs=1, max_grad_norm=0.0, group_by_length=False, **changes)
    return gradients.steps[0], float(pd.read_csv(folder / "curves" / "train.csv")["loss"][0])


@pytest.mark.parametrize(
    ("prepare", "size", "parts", "changes"),
    [
        pytest.param(questions, 3, 3, {}, id="T31 questions, 3 and 3 and 2"),
        pytest.param(sentences, 5, 3, {}, id="T31 sentences, 5 and 5 and 3"),
        pytest.param(
            sentences, 5, 3, {"class_weights": "balanced"}, id="T31 sentences, weighted by class"
        ),
        pytest.param(entities, 3, 2, {}, id="T31 words of 3 sentences and of 1"),
        pytest.param(masked_words, 3, 2, {}, id="T31 masked words"),
        pytest.param(blocks, 3, 3, {}, id="T31 blocks, 3 and 3 and 2"),
    ],
)
def test_each_text_weighs_the_same_in_accumulated_batches(
    prepare: Callable[[Path], Run], size: int, parts: int, changes: dict[str, Any], tmp_path: Path
) -> None:
    run = prepare(tmp_path)
    one, loss = first_step(run, tmp_path / "one", batch_size=size * parts, **changes)
    many, logged = first_step(
        run, tmp_path / "many", batch_size=size, gradient_accumulation=parts, **changes
    )
    assert logged == pytest.approx(loss, rel=1e-4)
    for name, gradient in one.items():
        torch.testing.assert_close(many[name], gradient, atol=1e-6, rtol=1e-3, msg=name)
