"""Trainings on a few stories with a tiny model: data, settings and runs."""

from functools import partial
from pathlib import Path
from typing import Any

import tiny
import torch

from retune.core.files import sha256
from retune.core.manifests import digest, seal
from retune.models.pretrained_files import PretrainedParams
from retune.tasks.language_model.init.init import start
from retune.tasks.language_model.models import gpt2_small
from retune.tasks.language_model.texts.texts import Text, write_texts
from retune.tasks.language_model.tokenize.tokenize import TokenizeParams, tokenize
from retune.tasks.language_model.train.train import TrainParams, train

#: Never asked for, where the tokenizer is learned.
NO_CHECKPOINT = PretrainedParams("./none", "0" * 64)
TOKENIZE: dict[str, Any] = {
    "tokenizer": "learned", "vocabulary_size": 300, "min_frequency": 2, "block_size": 16,
    "end_of_text": True, "train_blocks": None, "pairs": "sentences",
}  # fmt: skip


def write_raw(folder: Path, *, train: list[str] = tiny.TEXTS, validation: list[str] | None = None
              ) -> Path:  # fmt: skip
    """Write texts, sealed; returns their folder."""
    raw = folder / "raw"
    for split, texts in (("train", train), ("validation", validation or tiny.TEXTS[3:])):
        rows = (Text(f"{split}-{number}", text) for number, text in enumerate(texts, 1))
        write_texts(raw / f"{split}.jsonl", rows)
    seal(raw, {"inputs": {}, "params": {}})
    return raw


def run_tokenize(
    folder: Path, *, checkpoint: PretrainedParams = NO_CHECKPOINT, **changes: Any
) -> str:
    """Tokenize the raw texts in `folder`; the features in there are sealed."""
    raw, features = folder / "raw", folder / "features"
    told = tokenize(
        raw, features, folder / "blocks.json",
        params=TokenizeParams(**(TOKENIZE | changes)), pretrained=checkpoint,
    )  # fmt: skip
    seal(features, {"inputs": {"raw": digest(raw)}, "params": {}})
    return told


OPTIMIZATION: dict[str, Any] = {
    "lr": 1e-2, "epochs": 3, "batch_size": 4, "gradient_accumulation": 1, "warmup_ratio": 0.1,
    "weight_decay": 0.01, "max_grad_norm": 1.0, "patience": None, "group_by_length": "auto",
    "precision": "fp32", "eval_batch_size": 3, "log_every": 1,
}  # fmt: skip
SMALL = gpt2_small.Params(layers=1, heads=2, hidden_size=16, positions=16, dropout=0.1)


def write_data(folder: Path, *, model: gpt2_small.Params = SMALL, **changes: Any) -> Path:
    """Write texts, features and a model to train, all sealed; returns `folder`."""
    write_raw(folder)
    run_tokenize(folder, **changes)
    build = partial(gpt2_small.build, model, NO_CHECKPOINT)
    start(folder / "features", folder / "before", build=build, seed=1)
    seal(folder / "before", {"inputs": {"features": digest(folder / "features")}, "params": {}})
    return folder


def run(
    data: Path, folder: Path, *, seed: int = 1, resumable: bool = False, **changes: Any
) -> Path:
    """Train the model in `data` and return `folder`, where everything is written."""
    torch.set_num_threads(1)
    train(
        data / "features", data / "before", folder / "after", folder / "curves",
        folder / "costs.json", folder / "times.json",
        params=TrainParams(**(OPTIMIZATION | changes)), seed=seed,
        settings={"changes": repr(changes), "seed": seed} if resumable else None,
    )  # fmt: skip
    return folder


def outputs(folder: Path) -> dict[str, str]:
    """The sums of all that a training publishes but the times."""
    files = [*folder.glob("after/*"), *folder.glob("curves/*"), folder / "costs.json"]
    return {file.name: sha256(file) for file in files}
