"""Models that say something, in folders as the train stage writes them, and what they continue.

The texts hold characters of two, three and four bytes, so that tokens are parts of characters.
"""

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import GPT2Config, GPT2LMHeadModel, GPT2Tokenizer

from retune.core.files import write_json_lines
from retune.core.manifests import digest, seal
from retune.tasks.language_model.generate.text_generator import TextGenerator, load_text_generator
from retune.tasks.language_model.models import load

END = "<|endoftext|>"
PAIRS = [
    ("Once a fox lived by the sea.", "The fox ate blue fish every day."),
    ("Zoë kept a café in the old town.", "Zoë sold tea — and cake — every day."),
    ("猫 means cat in a far country.", "The cat slept by the sea 🐟 every day."),
    ("A ship came home at night.", "The old ship was full of blue fish."),
]
TEXTS = [f"{first} {second} Then the day was over." for first, second in PAIRS]
CONTEXT = 96


def tokenizer() -> Any:
    """A small tokenizer of byte pairs; it knows no pair of the rarer characters."""
    learned = ByteLevelBPETokenizer()
    learned.train_from_iterator(TEXTS, vocab_size=300, min_frequency=2, special_tokens=[END])
    model = json.loads(learned.to_str())["model"]
    return GPT2Tokenizer(vocab=model["vocab"], merges=[tuple(pair) for pair in model["merges"]])


def write_features(folder: Path) -> Path:
    """Write the features of `TEXTS`, all of them for validation, sealed; returns their folder."""
    features, generator = folder / "features", tokenizer()
    generator.save_pretrained(features / "tokenizer")
    rows = ((f"story-{number}", text) for number, text in enumerate(TEXTS))
    write_json_lines(
        features / "validation.jsonl", ({"id": i, "tokens": read(generator, t)} for i, t in rows)
    )
    write_json_lines(
        features / "pairs.jsonl",
        (pair_row(generator, f"story-{number}", *pair) for number, pair in enumerate(PAIRS)),
    )
    seal(features, {"inputs": {}, "params": {}})
    return features


def pair_row(generator: Any, id_: str, first: str, second: str) -> dict[str, Any]:
    return {
        "id": id_, "prompt": first, "continuation": second, "prompt_tokens": read(generator, first),
        "continuation_tokens": read(generator, f" {second}"),
    }  # fmt: skip


def read(generator: Any, text: str) -> list[int]:
    return list(generator(text, add_special_tokens=False)["input_ids"])


def write_model(features: Path, folder: Path, *, steps: int = 0, **changes: Any) -> Path:
    """Write a tiny GPT-2 that was taught `TEXTS` for some steps, sealed; returns `folder`."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    generator = tokenizer()
    sizes = {"vocab_size": len(generator), "n_positions": CONTEXT, "n_embd": 32, "n_layer": 2}
    model = GPT2LMHeadModel(GPT2Config(**{**sizes, "n_head": 4, **changes}))
    teach(model, [[*read(generator, text), *read(generator, END)] for text in TEXTS], steps)
    model.save_pretrained(folder)
    generator.save_pretrained(folder)
    params = {"language_model.model": "gpt2"}
    seal(folder, {"inputs": {"features": digest(features)}, "params": params})
    return folder


def teach(model: GPT2LMHeadModel, texts: list[list[int]], steps: int) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    model.eval()
    for step in range(steps):
        row = torch.tensor([texts[step % len(texts)][:CONTEXT]])
        model(row, labels=row).loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def write_states(folder: Path) -> Path:
    """Write features, and the model `before` and `after` it was taught; returns `folder`."""
    features = write_features(folder)
    write_model(features, folder / "before")
    write_model(features, folder / "after", steps=120)
    return folder


def voice_of(folder: Path, state: str = "after") -> TextGenerator:
    return load_text_generator(load(folder / state), folder / "features" / "tokenizer")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
