"""`fit` on a task of a few lines: what a task brings, and where extensions take part."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from torch import Tensor, nn
from training_runs import settings
from transformers import PretrainedConfig, PreTrainedModel

from retune.core.errors import RetuneError
from retune.models.batches import batches
from retune.training.extension import Extension
from retune.training.fit import Results, build_seeded, fit
from retune.training.trainer import TrainingTask


class ToyConfig(PretrainedConfig):
    model_type = "toy"
    vocab_size: int = 1000
    max_position_embeddings: int | None = 3


class Toy(PreTrainedModel):
    """Predicts the next number as a multiple of this one."""

    config_class = ToyConfig

    def __init__(self, config: ToyConfig) -> None:
        super().__init__(config)
        self.scale = nn.Linear(1, 1, bias=False)
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(self, numbers: Tensor) -> Tensor:
        return self.scale(numbers)  # type: ignore[no-any-return]


class Recorder(Extension):
    """Notes the hooks that are called."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def attach(self, trainer: Any) -> None:
        self.calls.append("attach")

    def training_step(self, model: nn.Module, inputs: Any, step: Callable[[], Tensor]) -> Tensor:
        self.calls.append("step")
        return super().training_step(model, inputs, step)

    def save(self, checkpoint: Path) -> None:
        self.calls.append(f"save {(checkpoint / 'model.safetensors').is_file()}")

    def published(self, checkpoint: Path) -> Path:
        self.calls.append(f"publish {checkpoint.name}")
        return super().published(checkpoint)


def results(folder: Path) -> Results:
    return Results(*(folder / name for name in ("model", "curves", "costs.json", "times.json")))


def toy(seed: int = 1, longest: int = 3, **config: Any) -> Any:
    def build() -> Toy:
        return Toy(ToyConfig(**config))

    return build_seeded(build, seed, tiny.wordpiece(), longest, "toy.length")


def loss(model: nn.Module, batch: Any, joint: Tensor) -> Tensor:
    return (model(batch["input_ids"]) - 2 * batch["input_ids"]).square().sum() / joint


def task(model: Any, epochs: list[int], extension: Extension) -> TrainingTask:
    def collate(rows: Any, epoch: int) -> Any:
        epochs.append(epoch)
        return {"input_ids": torch.tensor([[float(row)] for row in rows])}

    return TrainingTask(
        model, tiny.wordpiece(), rows=range(1, 5), lengths=[1] * 4, collate=collate, loss=loss,
        count=lambda batch: torch.tensor(len(batch["input_ids"])), unit="whole_numbers",
        evaluate=lambda _: {"loss": float((model.scale.weight - 2).abs().item())},
        best_metric="loss", padded=False, extensions=[extension],
    )  # fmt: skip


def test_a_task_is_trained_published_and_told(tmp_path: Path) -> None:
    told: list[Any] = []
    epochs: list[int] = []
    recorder = Recorder()

    def conclude(before: Any, best: Any) -> str:
        told.extend((before["loss"], best["loss"]))
        assert (tmp_path / "model/tokenizer.json").is_file()
        return "told"

    line = fit(
        task(toy(), epochs, recorder), results(tmp_path), settings(batch_size=2, lr=0.1), 1, None,
        reads=[], conclude=conclude, costs={"toys": 7}, score_first=True,
    )  # fmt: skip
    assert line.startswith("best epoch 2: told; ")
    assert line.endswith(" whole numbers/s")
    assert told[1] < told[0]
    assert set(epochs) == {0, 1}
    assert recorder.calls == [
        "attach", "step", "step", "save True", "step", "step", "save True", "publish checkpoint-4",
    ]  # fmt: skip
    (costs,) = json.loads((tmp_path / "costs.json").read_text())["qa"]["details"]
    assert costs == {
        "parameters": 1, "trained_parameters": 1, "toys": 7, "train_whole_numbers": 8,
        "model_bytes": (tmp_path / "model/model.safetensors").stat().st_size,
    }  # fmt: skip
    assert not list((tmp_path / "checkpoints").iterdir())


def test_a_model_is_drawn_from_its_seed() -> None:
    weights = [toy(seed).scale.weight.item() for seed in (1, 1, 2)]
    assert weights[0] == weights[1] != weights[2]


def test_inputs_that_the_model_cannot_read_are_refused() -> None:
    with pytest.raises(RetuneError, match=r"^toy\.length: 4 tokens are more than the 3 positions"):
        toy(longest=4)
    toy(longest=10**9, max_position_embeddings=None)
    with pytest.raises(RetuneError, match=r"the model has embeddings for 3 tokens, but its tok"):
        toy(vocab_size=3)


def test_batches_are_cut_in_order() -> None:
    device = torch.device("cpu")
    found = list(batches(range(5), 2, lambda rows: {"x": torch.tensor(list(rows))}, device))
    assert [rows for rows, _ in found] == [range(2), range(2, 4), range(4, 5)]
    assert [batch["x"].tolist() for _, batch in found] == [[0, 1], [2, 3], [4]]
