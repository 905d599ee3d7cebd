"""Adapters that AdapterHub's library saved (tests/reference/adapterhub), and encoders for them."""

import json
import shutil
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import tiny
import torch
from transformers import (
    AutoModelForQuestionAnswering,
    BertConfig,
    BertTokenizer,
    PreTrainedModel,
    RobertaConfig,
)

from retune.adapters import bundles
from retune.tools.cli.main import main

SAVED = Path(__file__).parent / "reference" / "adapterhub"
LOGITS: dict[str, Any] = json.loads((SAVED / "logits.json").read_text(encoding="utf-8"))["logits"]
SIZES: dict[str, Any] = {
    "vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 12, "max_position_embeddings": 16,
}  # fmt: skip
CONFIGS = {
    "bert": BertConfig(**SIZES),
    "roberta": RobertaConfig(**SIZES, pad_token_id=0, type_vocab_size=1),
    "wide": BertConfig(**SIZES | {"hidden_size": 12}),
    "deep": BertConfig(**SIZES | {"num_hidden_layers": 3}),
}
IDS = torch.tensor([[5, 6, 7, 8, 9], [12, 13, 14, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])


def write_encoders(top: Path) -> Path:
    """Write the encoders of `CONFIGS`, with the weights that the reference draws."""
    pieces = {piece: number for number, piece in enumerate(tiny.vocabulary()[:20])}
    tokenizer = BertTokenizer(vocab=pieces, model_max_length=16)
    for name, config in CONFIGS.items():
        model: PreTrainedModel = AutoModelForQuestionAnswering.from_config(config)
        with torch.no_grad():
            for key, weight in model.named_parameters():
                weight.copy_(drawn(key, tuple(weight.shape)))
        model.base_model.save_pretrained(top / name)
        tokenizer.save_pretrained(top / name)
    return top


def drawn(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """The weight called `name`, as the reference draws it."""
    values = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape) * 0.3
    return torch.tensor(values + ("LayerNorm.weight" in name), dtype=torch.float32)


@cache
def family(case: str) -> str:
    return "roberta" if case == "roberta" else "bert"


def copied(case: str, folder: Path) -> Path:
    """Return a copy of a saved folder, to be changed."""
    return shutil.copytree(SAVED / case, folder / "saved")


def bring(source: Path, out: Path, encoder: Path, *words: str) -> int:
    """Import a folder and return the exit code."""
    return main(["adapters", "import", str(source), str(out), "--encoder", str(encoder), *words])


def logits(bundle: Path) -> torch.Tensor:
    """Start and end logits (tokens, 2) of the real tokens."""
    model = bundles.load(bundle, AutoModelForQuestionAnswering)
    with torch.inference_mode():
        output = model(input_ids=IDS, attention_mask=MASK)
    real = MASK.bool()
    return torch.stack([output.start_logits[real], output.end_logits[real]], -1)


def exported(bundle: Path, out: Path, *words: str) -> int:
    """Export a bundle and return the exit code."""
    return main(["adapters", "export", str(bundle), str(out), *words])
