"""Both trainings: what they write, the same bytes again, and after being killed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
import tiny
import torch
from adapter_runs import (
    metrics,
    outputs,
    run_entities,
    run_language,
    write_data,
    write_masked_checkpoint,
)
from gradients import Gradients
from kills import killed_at
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForTokenClassification,
)

from retune.adapters import bundles
from retune.tasks.masked_lm.train.language import Guessing
from retune.tasks.ner.train.entities import Tagging
from retune.tasks.ner.train.entity_f1 import EntityScores, Score
from retune.training.resume import Checkpoints
from retune.training.trainer import JointTrainer


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"), head=True)


@pytest.fixture(scope="module")
def language(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_language(data, tmp_path_factory.mktemp("language"), epochs=20)


def costs(folder: Path, task: str) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((folder / "costs.json").read_text())["adapters"][task]
    (row,) = values["details"]
    return dict(row)


def test_entities_are_learned_and_told_type_by_type(data: Path, tmp_path: Path) -> None:
    # Dropout would leave so few epochs with a good F1 that rounding could take the last of them.
    folder = run_entities(data, tmp_path, epochs=40, lr=2e-2, dropout=0.0, validation="train.conll")
    told = metrics(folder, "entities")
    curve = pd.read_csv(folder / "curves" / "validation.csv")
    assert list(curve) == ["step", "epoch", "f1", "loss", "precision", "recall"]
    assert told["f1"] == curve["f1"].max() > 80
    assert [row["type"] for row in told["types"]] == ["LOC", "PER"]
    details = told["details"][0]
    assert details["support"] == sum(row["support"] for row in told["types"])
    assert details["train"]["sentences"] == 4
    # Of some 20 words each, with 16 tokens in a part.
    assert details["train"]["cut_sentences"] == 4
    assert details["train"]["parts"] >= 8
    assert details["validation_in_train"] == 4
    model = bundles.load(folder / "bundle", AutoModelForTokenClassification)
    assert model.config.id2label == {0: "O", 1: "B-LOC", 2: "I-LOC", 3: "B-PER", 4: "I-PER"}
    counted = costs(folder, "entities")
    assert counted["parameters"] == model.num_parameters()
    assert 0 < counted["trained_parameters"] < counted["parameters"]
    (times,) = json.loads((folder / "times.json").read_text())["adapters"]["entities"]["details"]
    assert times["train_sentence_parts_per_second"] > 0
    assert not list((folder / "checkpoints").iterdir())


def test_the_language_is_learned(language: Path) -> None:
    told = metrics(language, "language")
    curve = pd.read_csv(language / "curves" / "validation.csv")
    assert list(curve) == ["step", "epoch", "loss", "perplexity"]
    assert told["loss"] == curve["loss"].min()
    assert told["perplexity"] == pytest.approx(np.exp(told["loss"]))
    (details,) = told["details"]
    assert details["perplexity_before"] > told["perplexity"]
    assert details["trained_head"] == []
    assert details["train"]["texts"] == 6  # of four contexts and two lines
    assert details["validation_texts_in_train"] == 1
    assert 0 <= details["train"]["tokens_left_over"] < 14
    assert details["train"]["block_tokens"] == 16 * details["train"]["blocks"]
    bundles.load(language / "bundle", AutoModelForMaskedLM)


def test_only_the_adapter_of_the_language_is_trained(language: Path, data: Path) -> None:
    before = AutoModelForMaskedLM.from_pretrained(data / "encoder").state_dict()
    after = bundles.load(language / "bundle", AutoModelForMaskedLM)
    shared = {n: w for n, w in after.state_dict().items() if n in before}
    assert len(shared) == len(before)
    assert all(torch.equal(weight, before[name]) for name, weight in shared.items())


def test_a_head_that_the_checkpoint_lacks_is_trained_too(tmp_path: Path) -> None:
    folder = run_language(write_data(tmp_path / "data"), tmp_path / "run", epochs=1)
    (details,) = metrics(folder, "language")["details"]
    assert details["trained_head"] == [
        "cls.predictions.bias",
        "cls.predictions.transform.LayerNorm.bias",
        "cls.predictions.transform.LayerNorm.weight",
        "cls.predictions.transform.dense.bias",
        "cls.predictions.transform.dense.weight",
    ]


def test_an_output_layer_of_its_own_is_kept_as_it_is(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data")
    tiny.write_checkpoint(data / "encoder", tie_word_embeddings=False)
    write_masked_checkpoint(data / "encoder")
    folder = run_language(data, tmp_path / "run", epochs=1)
    (details,) = metrics(folder, "language")["details"]
    assert details["trained_head"] == []
    name = "cls.predictions.decoder.weight"
    own = load_file(data / "encoder/model.safetensors")
    assert not torch.equal(own[name], own["bert.embeddings.word_embeddings.weight"])
    model = bundles.load(folder / "bundle", AutoModelForMaskedLM)
    assert torch.equal(model.get_parameter(name), own[name])


def test_entities_are_stacked_on_a_language_which_stays(
    data: Path, language: Path, tmp_path: Path
) -> None:
    below = language / "bundle"
    bundles.described(below)
    (below / "manifest.json").write_text("{}")  # as a stage seals it
    folder = run_entities(data, tmp_path, language=below, resumable=True, epochs=2)
    parts, _ = bundles.described(folder / "bundle")
    assert isinstance(parts, bundles.AdapterParts)
    assert parts.composition == ["language", "entities"]
    there, here = (bundles.bundle_weights(each / "bundle") for each in (language, folder))
    kept = [name for name in there if ".language." in name]
    assert len(kept) > 4
    assert all(torch.equal(there[name], here[name]) for name in kept)
    (below / "manifest.json").unlink()


@pytest.mark.parametrize(("task", "best"), [("entities", "f1"), ("language", "perplexity")])
def test_the_curves_are_in_tensorboard_too(
    task: str, best: str, data: Path, tmp_path: Path
) -> None:
    folder = RUNS[task](data, tmp_path)
    log = EventAccumulator(str(folder / "logs/tensorboard")).Reload()
    for part, name, column in (
        ("train", "train/loss", "loss"),
        ("validation", f"eval/{best}", best),
    ):
        rows = pd.read_csv(folder / f"curves/{part}.csv")
        events = log.Scalars(name)
        assert [event.step for event in events] == rows["step"].tolist()
        assert [event.value for event in events] == pytest.approx(rows[column].tolist())


RUNS: dict[str, Callable[..., Path]] = {"entities": run_entities, "language": run_language}


@pytest.fixture(scope="module")
def unbroken(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    return {n: outputs(run(data, tmp_path_factory.mktemp(n))) for n, run in RUNS.items()}


@pytest.mark.parametrize("task", list(RUNS))
def test_same_seed_same_bytes_and_another_seed_others(
    task: str, data: Path, tmp_path: Path, unbroken: dict[str, dict[str, str]]
) -> None:
    run = RUNS[task]
    assert outputs(run(data, tmp_path / "again")) == unbroken[task]
    other = outputs(run(data, tmp_path / "other", seed=2))
    assert other["bundle.safetensors"] != unbroken[task]["bundle.safetensors"]


@pytest.mark.parametrize("task", list(RUNS))
@pytest.mark.parametrize(
    "kill",
    [
        pytest.param((1, "training_step"), id="T01 killed in the first step"),
        pytest.param((3, "training_step"), id="T01 killed in mid-epoch"),
        pytest.param((9, "training_step"), id="T01 killed in a later epoch"),
        pytest.param((3, "_save_rng_state"), id="T02 killed in a save"),
        pytest.param((2, "evaluate"), id="T10 killed in an evaluation"),
        pytest.param((1, "remove"), id="T01 killed after all is written"),
    ],
)
def test_a_killed_training_goes_on_to_the_same_bytes(
    task: str, kill: tuple[int, str], data: Path, tmp_path: Path,
    unbroken: dict[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("RETUNE_CHECKPOINT_SECONDS", "0")
    run = RUNS[task]
    call, method = kill
    owner: Any = Checkpoints if method == "remove" else JointTrainer
    with killed_at(call, owner, method):
        run(data, tmp_path, resumable=True)
    capsys.readouterr()
    assert outputs(run(data, tmp_path, resumable=True)) == unbroken[task]
    assert ("resuming from step" in capsys.readouterr().err) == (kill != (1, "training_step"))


@pytest.mark.parametrize("task", list(RUNS))
def test_accumulated_batches_are_a_mean_and_no_sum(task: str, data: Path, tmp_path: Path) -> None:
    """Labels are not spread evenly over the parts, so that the means are not quite the same."""
    norms = []
    for size in (4, 1):
        gradients = Gradients()
        with patch("retune.training.trainer.training_callbacks", lambda *_, kept=gradients: [kept]):
            RUNS[task](data, tmp_path / str(size), epochs=1, dropout=0.0, max_grad_norm=0.0,
                          batch_size=size, gradient_accumulation=4 // size)  # fmt: skip
        squares = [gradient.double().square().sum() for gradient in gradients.steps[0].values()]
        norms.append(float(sum(squares)) ** 0.5)
    assert norms[1] == pytest.approx(norms[0], rel=0.2)


def test_training_stops_and_the_best_epoch_by_f1_is_kept(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    coming = iter([10.0, 50.0, 20.0, 50.0, 50.0])

    def scored(*_: Any) -> tuple[float, EntityScores]:
        return 1.0, EntityScores(Score(0.0, 0.0, next(coming), 1), {})

    monkeypatch.setattr(Tagging, "__call__", scored)
    folder = run_entities(data, tmp_path, epochs=9, patience=2)
    curve = pd.read_csv(folder / "curves" / "validation.csv")
    assert curve["f1"].tolist() == [10, 50, 20, 50]


def test_training_stops_and_the_best_epoch_by_loss_is_kept(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([9.0, 3.0, 1.0, 2.0, 1.0, 0.5])  # the first before the training
    monkeypatch.setattr(
        Guessing, "__call__", lambda *_: {"loss": (loss := next(losses)), "perplexity": loss}
    )
    folder = run_language(data, tmp_path, epochs=9, patience=2)
    curve = pd.read_csv(folder / "curves" / "validation.csv")
    assert curve["loss"].tolist() == [3, 1, 2, 1]
    assert metrics(folder, "language")["loss"] == 1
