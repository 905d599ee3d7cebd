"""Trainings on a few stories with a tiny model: data, settings and runs."""

from pathlib import Path
from typing import Any

import tiny

from retune.checkpoints import CheckpointParams
from retune.language_model.texts import Text, write_texts
from retune.language_model.tokenize import TokenizeParams, tokenize
from retune.manifests import digest, seal

#: Never asked for, where the tokenizer is learned.
NO_CHECKPOINT = CheckpointParams("./none", "0" * 64)
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
    folder: Path, *, checkpoint: CheckpointParams = NO_CHECKPOINT, **changes: Any
) -> str:
    """Tokenize the raw texts in `folder`; the features in there are sealed."""
    raw, features = folder / "raw", folder / "features"
    told = tokenize(
        raw, features, folder / "blocks.json",
        params=TokenizeParams(**(TOKENIZE | changes)), checkpoint=checkpoint,
    )  # fmt: skip
    seal(features, {"inputs": {"raw": digest(raw)}, "params": {}})
    return told
