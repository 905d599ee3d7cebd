"""Trainings on a few sentences with a tiny encoder: data, settings and runs."""

from functools import partial
from pathlib import Path
from typing import Any

import tiny
import torch

from retune.core.files import sha256
from retune.core.manifests import digest, seal
from retune.tasks.sentiment.models import bag_of_embeddings, bert, lstm
from retune.tasks.sentiment.texts.examples import Example, write_examples
from retune.tasks.sentiment.tokenize.tokenize import TokenizeParams, tokenize
from retune.tasks.sentiment.train.train import TrainParams, train

OPTIMIZATION: dict[str, Any] = {
    "lr": 1e-2, "epochs": 3, "batch_size": 4, "gradient_accumulation": 1, "warmup_ratio": 0.1,
    "weight_decay": 0.01, "max_grad_norm": 1.0, "patience": None, "group_by_length": "auto",
    "precision": "fp32", "eval_batch_size": 3, "log_every": 1, "adversarial_epsilon": 0.0,
    "ema_decay": 0.0, "class_weights": None,
}  # fmt: skip
MODULES: dict[str, Any] = {"bert": bert, "lstm": lstm, "bag_of_embeddings": bag_of_embeddings}
PARAMS: dict[str, Any] = {
    "bert": bert.Params(dropout=0.1, fresh_layers=0),
    "lstm": lstm.Params(
        embedding_size=12, pretrained_embeddings=False, freeze_embeddings=False, hidden_size=10,
        pooling="mean", dropout=0.1,
    ),
    "bag_of_embeddings": bag_of_embeddings.Params(
        embedding_size=12, pretrained_embeddings=True, freeze_embeddings=False
    ),
}  # fmt: skip

#: Ships are good, storms are bad.
SENTENCES = [
    ("ships return home", 1), ("a storm destroyed the bridge", 0), ("it guided ships home", 1),
    ("the storm destroyed it", 0), ("ships return to the island", 1), ("a storm in 1955", 0),
    ("the ships of the mayor", 1), ("storm", 0), ("home", 1), ("destroyed by the storm", 0),
    ("ships", 1), ("the old storm destroyed three valleys", 0),
]  # fmt: skip


def examples(split: str, sentences: list[tuple[str, int]]) -> list[Example]:
    return [
        Example(f"{split}-{number}", text, label, None, None)
        for number, (text, label) in enumerate(sentences)
    ]


def write_data(folder: Path, validation: list[tuple[str, int]] = SENTENCES[4:]) -> Path:
    """Write an encoder, raw and augmented data, sealed; returns `folder`."""
    tiny.write_checkpoint(folder / "encoder")
    raw, augmented = folder / "raw", folder / "augmented"
    write_examples(raw / "train.jsonl", examples("train", SENTENCES))
    write_examples(raw / "validation.jsonl", examples("validation", validation))
    seal(raw, {"inputs": {}, "params": {}})
    more = Example("train-0+1", "the ships return home", 1, "train-0", "dropout")
    write_examples(augmented / "train.jsonl", [*examples("train", SENTENCES), more])
    seal(augmented, {"inputs": {"raw": digest(raw)}, "params": {}})
    return folder


def write_features(data: Path, max_length: int = 16) -> Path:
    """Write the features of `write_data`, sealed; returns their folder."""
    features = data / "features"
    tokenize(
        data / "raw", data / "augmented", features, data / "texts.json",
        tokenizer=tiny.wordpiece(), params=TokenizeParams(max_length),
    )  # fmt: skip
    seal(features, {"inputs": {"raw": digest(data / "raw")}, "params": {}})
    return features


def run(
    data: Path, folder: Path, *, model: str = "bag_of_embeddings", seed: int = 1,
    resumable: bool = False, **changes: Any,
) -> Path:  # fmt: skip
    """Train on the features in `data` and return `folder`, where everything is written."""
    torch.set_num_threads(1)
    train(
        data / "features", folder / "model", folder / "curves", folder / "costs.json",
        folder / "times.json",
        build=partial(MODULES[model].build, PARAMS[model], data / "encoder"),
        params=TrainParams(**(OPTIMIZATION | changes)), seed=seed,
        settings={"model": model, "changes": repr(changes)} if resumable else None,
    )  # fmt: skip
    return folder


def outputs(folder: Path) -> dict[str, str]:
    """The sums of all that a training publishes but the times."""
    files = [*folder.glob("model/*"), *folder.glob("curves/*"), folder / "costs.json"]
    return {file.name: sha256(file) for file in files}
