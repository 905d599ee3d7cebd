"""Trainings of adapters on the tiny corpus: data, settings and runs."""

import json
from pathlib import Path
from typing import Any

import tiny
import torch

from retune.adapters.layers import AdapterParams
from retune.core.files import sha256
from retune.core.manifests import seal
from retune.models.pretrained_files import PretrainedParams
from retune.tasks.masked_lm.train.language import LanguageParams, train_language
from retune.tasks.ner.train.entities import EntitiesParams, train_entities
from retune.tasks.qa.questions.examples import Answer, Example, write_examples
from retune.training.fit import Results

OPTIMIZATION: dict[str, Any] = {
    "lr": 1e-2, "epochs": 3, "batch_size": 2, "gradient_accumulation": 1, "warmup_ratio": 0.1,
    "weight_decay": 0.01, "max_grad_norm": 1.0, "patience": None, "group_by_length": "auto",
    "precision": "fp32", "eval_batch_size": 3, "log_every": 1, "dropout": 0.1,
}  # fmt: skip
PFEIFFER = AdapterParams("pfeiffer", 2, "gelu", "whole", None)
LANGUAGE = AdapterParams("pfeiffer", 2, "relu", "whole", 2)

NAMES = {"Ada": "PER", "Berg": "PER", "Sula": "LOC", "Vik": "LOC", "Lomma": "LOC", "Mara": "PER"}


def conll(rows: range) -> str:
    """Sentences of the tiny corpus with names tagged."""
    sentences = []
    for row in rows:
        lines, before = [], "O"
        for word in tiny.TEXTS[row].replace(".", " .").split():
            kind = NAMES.get(word, "O")
            tag = kind if kind == "O" else f"{'I' if before == kind else 'B'}-{kind}"
            lines.append(f"{word} {tag}")
            before = kind
        sentences.append("\n".join(lines))
    return "\n\n".join(sentences) + "\n"


def write_data(folder: Path, *, head: bool = False, family: str = "bert") -> Path:
    """Write an encoder (with a head for masked tokens), questions, and sentences with entities."""
    tiny.write_checkpoint(folder / "encoder", family)
    if head:
        write_masked_checkpoint(folder / "encoder")
    for name, rows in [("train", range(4)), ("validation", range(3, 6))]:
        examples = [
            Example(f"{row}-{n}", "t", tiny.TEXTS[row], question,
                    (Answer(answer, tiny.TEXTS[row].index(answer)),))
            for row in rows for n, (question, answer) in enumerate(tiny.QUESTIONS[row])
        ]  # fmt: skip
        write_examples(folder / "raw" / f"{name}.jsonl", examples)
        (folder / "conll").mkdir(exist_ok=True)
        (folder / "conll" / f"{name}.conll").write_text(conll(rows), encoding="utf-8")
    (folder / "conll" / "more.txt").write_text("Ada saw Vik.\n\nIt rained.\n", encoding="utf-8")
    seal(folder / "raw", {"inputs": {}, "params": {}})
    return folder


def write_masked_checkpoint(folder: Path) -> None:
    from transformers import AutoConfig, AutoModelForMaskedLM

    torch.manual_seed(1)
    config = AutoConfig.from_pretrained(folder)
    AutoModelForMaskedLM.from_config(config).save_pretrained(folder)


def base(data: Path) -> PretrainedParams:
    return PretrainedParams(str(data / "encoder"), sha256(data / "encoder" / "model.safetensors"))


def results(folder: Path) -> tuple[Results, Path]:
    places = (folder / name for name in ("bundle", "curves", "costs.json", "times.json"))
    return Results(*places), folder / "metrics.json"


def run_entities(
    data: Path, folder: Path, /, *, seed: int = 1, language: Path | None = None,
    resumable: bool = False, **changes: Any,
) -> Path:  # fmt: skip
    """Train on `data` and return `folder`, where everything is written."""
    torch.set_num_threads(1)
    own = {
        "folder": str(data / "conll"), "train": "train.conll", "validation": "validation.conll",
        "max_length": 16, "adapter": PFEIFFER,
    }  # fmt: skip
    params = EntitiesParams(**(OPTIMIZATION | own | changes))
    settings = {"changes": repr(changes), "seed": seed} if resumable else None
    train_entities(
        *results(folder), params=params, base=base(data), language=language, seed=seed,
        settings=settings,
    )  # fmt: skip
    return folder


def run_language(
    data: Path, folder: Path, /, *, seed: int = 1, resumable: bool = False, **changes: Any
) -> Path:
    """Train on `data` and return `folder`, where everything is written."""
    torch.set_num_threads(1)
    own = {
        "folder": str(data / "conll"), "files": ["more.txt"], "block_size": 16, "masked": 0.3,
        "adapter": LANGUAGE,
    }  # fmt: skip
    params = LanguageParams(**(OPTIMIZATION | own | changes))
    settings = {"changes": repr(changes), "seed": seed} if resumable else None
    train_language(
        data / "raw", *results(folder), params=params, base=base(data), seed=seed,
        settings=settings,
    )  # fmt: skip
    return folder


def metrics(folder: Path, task: str) -> dict[str, Any]:
    """What the training of the adapter `task` says of it."""
    values: dict[str, Any] = json.loads((folder / "metrics.json").read_bytes())["adapters"][task]
    return values


def outputs(folder: Path) -> dict[str, str]:
    """The sums of all that a training publishes but the times."""
    files = [*folder.glob("bundle/*"), *folder.glob("curves/*"), folder / "costs.json"]
    return {file.name: sha256(file) for file in [*files, folder / "metrics.json"]}
