"""Two processes (gloo) do the same steps as one: gradients, weights, scores and files."""

import gc
import json
import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
import pytest
import torch
from adapter_runs import run_entities, run_language
from adapter_runs import write_data as write_adapter_data
from gradients import Gradients
from language_runs import SMALL
from language_runs import run as run_blocks
from language_runs import write_data as write_stories
from safetensors.torch import load_file
from sentiment_runs import run as run_texts
from sentiment_runs import write_data as write_sentences
from sentiment_runs import write_features as write_texts
from training_runs import FROZEN, fusion_params, run, write_features
from transformers import TrainerCallback
from two_processes import together

from retune.core.files import sha256
from retune.tasks.qa.models import bert_adapter, bert_adapter_fusion, bilstm_attention, lstm
from retune.training.arguments import training_callbacks


def entities(data: Path, folder: Path, **changes: Any) -> Path:
    return run_entities(data / "sentences", folder, **changes)


def language(data: Path, folder: Path, **changes: Any) -> Path:
    return run_language(data / "sentences", folder, **changes)


def blocks(data: Path, folder: Path, **changes: Any) -> Path:
    return run_blocks(data / "stories", folder, **changes)


def texts(data: Path, folder: Path, **changes: Any) -> Path:
    return run_texts(data / "texts", folder, **changes)


# Seven windows: the last batch is smaller, and where it is one window, one process has none.
CASES: dict[str, dict[str, Any]] = {
    "packed": {"dropout": 0.0, "batch_size": 6},
    "accumulated": {"dropout": 0.0, "batch_size": 2, "gradient_accumulation": 2},
    "padded": {"variant": lstm, "model": lstm.Params(16, 16), "batch_size": 2},
    "frozen": {
        "variant": bilstm_attention,
        "model": bilstm_attention.Params(16, 16, 0.0, True, True),
        "batch_size": 4,
    },
    "adapter": {
        "variant": bert_adapter,
        "model": replace(FROZEN["adapter"]["model"], dropout=0.0),
        "batch_size": 6,
    },
    "fusion": {
        "variant": bert_adapter_fusion,
        "model": partial(fusion_params, dropout=0.0),
        "batch_size": 4,
    },
    "entities": {"train": entities, "dropout": 0.0, "batch_size": 6},
    "language": {"train": language, "dropout": 0.0, "batch_size": 6},
    "blocks": {"train": blocks, "batch_size": 2, "gradient_accumulation": 2},
    "texts": {"train": texts, "batch_size": 4},
    "adversarial, averaged": {
        "train": texts,
        "batch_size": 4,
        "adversarial_epsilon": 0.5,
        "ema_decay": 0.2,
    },
    "adversarial, accumulated": {
        "train": texts,
        "batch_size": 2,
        "gradient_accumulation": 2,
        "adversarial_epsilon": 0.5,
    },
}


def measure(data: Path, folder: Path) -> None:
    """Train every case in `folder`; of each, keep the gradients."""
    ports = os.environ.get("PORTS", "").split()
    gc.freeze()  # each training collects the garbage of all that is not frozen
    for number, (name, case) in enumerate(CASES.items()):
        if ports:  # each training has processes that find each other anew
            os.environ["MASTER_PORT"] = ports[number]
        gradients = Gradients()
        with patch("retune.training.trainer.training_callbacks", partial(_with, gradients)):
            train, options = case.get("train", run), {k: case[k] for k in case if k != "train"}
            train(data, folder / name, max_grad_norm=0.0, **options)
        if os.environ.get("RANK", "0") == "0":
            torch.save(gradients.steps, folder / name / "gradients.pt")


def _with(callback: TrainerCallback, *arguments: Any, **options: Any) -> list[Any]:
    return [*training_callbacks(*arguments, **options), callback]


def draw_dropout(data: Path, folder: Path) -> None:
    """Begin a training with dropout, and note what the process would draw."""
    with patch("retune.training.trainer.JointTrainer.train", lambda self, **_: note(self, folder)):
        run(data, folder, dropout=0.5)


def note(trainer: Any, folder: Path) -> None:
    """Write the first random number and the first weights of this process."""
    weights = sum(weight.double().sum().item() for weight in trainer.model.parameters())
    drawn = {"bits": torch.rand(()).item(), "weights": weights}
    (folder / f"{trainer.share.index}.json").write_text(json.dumps(drawn))
    os._exit(0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = write_features(tmp_path_factory.mktemp("data"), questions=7)
    write_adapter_data(data / "sentences", head=True)
    write_texts(write_sentences(data / "texts"))
    write_stories(data / "stories", model=replace(SMALL, dropout=0.0), train_blocks=7)
    return data


@pytest.fixture(scope="module")
def results(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """What one process has written, and what two have."""
    one, two = (tmp_path_factory.mktemp(name) for name in ("one", "two"))
    measure(data, one)
    assert together(measure, data, two, meetings=len(CASES)) == [0, 0]
    return one, two


@pytest.mark.parametrize("case", CASES)
def test_gradients_are_those_of_the_joint_batch(case: str, results: tuple[Path, Path]) -> None:
    one, two = (torch.load(folder / case / "gradients.pt") for folder in results)
    assert len(one) == len(two) > 2
    for expected, found in zip(one, two, strict=True):
        assert expected.keys() == found.keys()
        for name, gradient in expected.items():
            torch.testing.assert_close(found[name], gradient, atol=1e-5, rtol=1e-3, msg=name)


@pytest.mark.parametrize("case", CASES)
def test_weights_and_curves_are_those_of_one_process(case: str, results: tuple[Path, Path]) -> None:
    one, two = (load_file(next((f / case).glob("*/*.safetensors"))) for f in results)
    assert one.keys() == two.keys()
    for name, weight in one.items():
        if name.endswith(("output.bias", "outputs.bias")):
            continue  # shifts all logits: no gradient but rounding, of which Adam makes steps
        torch.testing.assert_close(two[name], weight, atol=1e-3, rtol=1e-2, msg=name)
    for curve in ("train", "validation"):
        frames = [pd.read_csv(folder / case / f"curves/{curve}.csv") for folder in results]
        pd.testing.assert_frame_equal(*frames, atol=1e-3, rtol=1e-2)


def test_files_are_written_once_and_whole(results: tuple[Path, Path]) -> None:
    one, two = (folder / "packed" for folder in results)
    names = [sorted(p.name for p in folder.rglob("*") if "tfevents" not in p.name)
             for folder in (one, two)]  # fmt: skip
    assert names[0] == names[1]
    assert len(list(two.rglob("*tfevents*"))) == len(list(one.rglob("*tfevents*"))) == 1
    assert sha256(one / "model/tokenizer.json") == sha256(two / "model/tokenizer.json")


def test_costs_count_windows_of_all_and_name_the_processes(results: tuple[Path, Path]) -> None:
    one, two = (json.loads((f / "packed/costs.json").read_text()) for f in results)
    assert one == two
    assert one["qa"]["details"][0]["train_windows"] == 14
    one, two = (json.loads((f / "packed/times.json").read_text())["qa"] for f in results)
    assert "1 process" in one["details"][0]["environment"]
    assert "2 processes" in two["details"][0]["environment"]


def test_processes_begin_alike_and_drop_out_differently(data: Path, tmp_path: Path) -> None:
    assert together(draw_dropout, data, tmp_path) == [0, 0]
    first, second = (json.loads((tmp_path / f"{n}.json").read_text()) for n in range(2))
    assert first["weights"] == second["weights"]
    assert first["bits"] != second["bits"]
