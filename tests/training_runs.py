"""Training on the tiny corpus: data, settings and a run of each length."""

from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import tiny
import torch

from retune.adapters.adapter_reuse import BundleParams
from retune.core.files import sha256
from retune.core.manifests import seal
from retune.models.pretrained_files import PretrainedParams, load_tokenizer
from retune.tasks.qa.models import bert, bert_adapter, bert_adapter_fusion, bert_lora
from retune.tasks.qa.questions.examples import Answer, Example, write_examples
from retune.tasks.qa.score.score import ScoreParams
from retune.tasks.qa.tokenize.tokenize import TokenizeParams, tokenize
from retune.tasks.qa.train.evaluation import EvaluationParams
from retune.tasks.qa.train.train import TrainParams, train


def settings(**changes: Any) -> TrainParams:
    values: dict[str, Any] = {
        "keep": "best",
        "lr": 3e-3,
        "epochs": 2,
        "batch_size": 4,
        "gradient_accumulation": 1,
        "warmup_ratio": 0.1,
        "weight_decay": 0.01,
        "max_grad_norm": 1.0,
        "patience": None,
        "group_by_length": "auto",
        "precision": "fp32",
        "eval_batch_size": 4,
        "log_every": 1,
        "evaluation": EvaluationParams(
            n_best=5, max_answer_length=10, null_threshold=0.0, normalizer="squad"
        ),
    }
    return TrainParams(**(values | changes))


def write_features(
    folder: Path, questions: int = 8, *, family: str = "bert", squad_v2: bool = False
) -> Path:
    """Write raw questions, their windows and a tiny random encoder; a question has a window.

    With `squad_v2`, each text has a question more, which it does not answer.
    """
    examples = [
        Example(f"{row}-{n}", "t", text, question, (Answer(answer, text.index(answer)),))
        for row, text in ((row, tiny.TEXTS[row]) for row in range(4))
        for n, (question, answer) in enumerate(tiny.QUESTIONS[row])
    ][:questions]
    if squad_v2:
        examples += [
            Example(f"{row}-none", "t", tiny.TEXTS[row], "Who sank the fleet?", ())
            for row in range(4)
        ]
    for split in ("train", "validation"):
        write_examples(folder / "raw" / f"{split}.jsonl", examples)
    tiny.write_checkpoint(folder / "encoder", family)
    tokenize(
        folder / "raw",
        folder / "features",
        folder / "windows.json",
        tokenizer=load_tokenizer(folder / "encoder"),
        params=TokenizeParams(
            max_length=128,
            doc_stride=8,
            max_question_length=16,
            windows="all",
            max_lost_answers=0.0,
            max_unknown_tokens=1.0,
        ),
        scoring=ScoreParams(normalizer="squad"),
        squad_v2=squad_v2,
    )
    for name in ("raw", "features"):
        seal(folder / name, {"inputs": {}, "params": {}})
    return folder


def base(data: Path) -> PretrainedParams:
    return PretrainedParams(str(data / "encoder"), sha256(data / "encoder/model.safetensors"))


def fusion_params(data: Path, dropout: float = 0.1) -> bert_adapter_fusion.Params:
    """Of two random adapters on the tiny encoder."""
    folders = [data / name for name in ("qa", "entities")]
    for folder in folders:
        if not folder.exists():
            tiny.write_bundle(folder, data / "encoder", folder.name)
    fused = [BundleParams(str(folder), None) for folder in folders]
    return bert_adapter_fusion.Params(dropout, fused, None)


#: Variants that train on a frozen encoder: module and params.
FROZEN: dict[str, dict[str, Any]] = {
    "adapter": {
        "variant": bert_adapter,
        "model": bert_adapter.Params("pfeiffer", 4, "gelu", "whole", 2, 0.1, None),
    },
    "fusion": {"variant": bert_adapter_fusion, "model": fusion_params},
    "lora": {
        "variant": bert_lora,
        "model": bert_lora.Params(4, 16.0, 0.1, ["query", "value"], 0.1),
    },
}


def run(
    data: Path,
    folder: Path,
    seed: int = 1,
    dropout: float = 0.1,
    variant: ModuleType = bert,
    model: Any = None,  # its params, or what makes them of the data
    resumable: bool = False,
    squad_v2: bool = False,
    taught: Path | None = None,
    **changes: Any,
) -> Path:
    """Train on `data` and return `folder`, where everything is written."""
    torch.set_num_threads(1)
    model = model(data) if callable(model) else model or bert.Params(dropout=dropout)
    train(
        data / "raw",
        data / "features",
        folder / "model",
        folder / "curves",
        folder / "costs.json",
        folder / "times.json",
        build=partial(variant.build, model, data / "encoder"),
        base=base(data),
        params=settings(**changes),
        seed=seed,
        squad_v2=squad_v2,
        taught=taught,
        settings={"changes": repr(changes), "seed": seed} if resumable else None,
    )
    return folder


def outputs(folder: Path) -> dict[str, str]:
    """The sums of all that a training publishes but the times."""
    files = [*folder.glob("model/*"), *folder.glob("curves/*"), folder / "costs.json"]
    return {file.name: sha256(file) for file in files}
