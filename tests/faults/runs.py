"""The stages that need no model, on questions given as rows, each run in a folder of its own."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tiny

from retune.fetch.fetching import local_source
from retune.tasks.qa.download.download import DownloadParams, download
from retune.tasks.qa.postprocess.postprocess import PostprocessParams, postprocess
from retune.tasks.qa.score.score import ScoreParams, score
from retune.tasks.qa.tokenize.tokenize import TokenizeParams, tokenize
from retune.tasks.qa.windows.features import count_windows, feature_batches

TOKENIZERS = {"wordpiece": tiny.wordpiece(), "byte_level": tiny.byte_level()}
Rows = Sequence[dict[str, Any]]

DOWNLOAD: dict[str, Any] = {
    "train_limit": None,
    "validation_limit": None,
    "test_limit": None,
    "validation_share": None,
    "sample_seed": 1,
    "realign": False,
    "unanswerable": "error",
    "shared_contexts": "error",
}
TOKENIZE: dict[str, Any] = {
    "max_length": 64,
    "doc_stride": 8,
    "max_question_length": 12,
    "windows": "all",
    "max_lost_answers": 1.0,
    "max_unknown_tokens": 1.0,
}
POSTPROCESS: dict[str, Any] = {"n_best": 3, "max_answer_length": 30, "null_threshold": 0.0}


def row(
    name: str, context: str, *answers: str | tuple[str, int], question: str = "Who?", **more: Any
) -> dict[str, Any]:
    """A question whose answers stand where they are found first, or where they claim to."""
    pairs = [a if isinstance(a, tuple) else (a, context.index(a)) for a in answers]
    lists = {"text": [text for text, _ in pairs], "answer_start": [start for _, start in pairs]}
    return {
        "id": name,
        "title": "T",
        "context": context,
        "question": question,
        "answers": lists,
    } | more


OTHER = row("other", "Nothing but rye bread.", "rye bread")


def run_download(
    folder: Path, train: Rows, test: Rows = (OTHER,), squad_v2: bool = False, **changes: Any
) -> list[dict[str, Any]]:
    """The report, an entry a split; `raw`, with both splits, and the metrics are in `folder`."""
    sources = {}
    for split, rows in (("train", train), ("test", test)):
        path = folder / f"{split}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        sources[split] = [local_source(path, None)]
    params = DownloadParams(**(DOWNLOAD | changes))
    raw, metrics = folder / "raw", folder / "download.json"
    download(raw, raw, metrics, sources=sources, params=params, squad_v2=squad_v2)
    report: list[dict[str, Any]] = json.loads(metrics.read_bytes())["qa"]["download"]
    return report


def run_tokenize(
    folder: Path, kind: str | Any = "wordpiece", squad_v2: bool = False, longest: int | None = None,
    **changes: Any,
) -> list[dict[str, Any]]:  # fmt: skip
    """The audit, an entry a split, of the windows of `raw`."""
    tokenize(
        folder / "raw",
        folder / "features",
        folder / "windows.json",
        tokenizer=TOKENIZERS[kind] if isinstance(kind, str) else kind,
        params=TokenizeParams(**(TOKENIZE | changes)),
        scoring=ScoreParams(normalizer="squad"),
        squad_v2=squad_v2,
        longest=longest,
    )
    audit: list[dict[str, Any]] = json.loads((folder / "windows.json").read_bytes())["qa"][
        "windows"
    ]
    return audit


def write_logits(folder: Path, values: Any = None, seed: int = 0) -> None:
    """Logits of the test windows in the form of the predict stage, drawn or `values`."""
    counts = count_windows(folder / "features" / "test.arrow")
    if values is None:
        values = np.random.default_rng(seed).normal(size=(counts["tokens"], 2))
    (folder / "logits").mkdir(exist_ok=True)
    np.save(folder / "logits" / "logits.npy", values.astype(np.float32))
    (folder / "logits" / "windows.json").write_text(json.dumps(counts))


def run_postprocess(folder: Path, squad_v2: bool = False, **changes: Any) -> str:
    """The closing line; answers and their report are in `folder`/predictions."""
    return postprocess(
        folder / "raw",
        folder / "features",
        folder / "logits",
        folder / "predictions",
        PostprocessParams(**(POSTPROCESS | changes)),
        squad_v2=squad_v2,
    )


def run_score(folder: Path, squad_v2: bool = False) -> dict[str, Any]:
    """The figures of all questions."""
    score(
        folder / "raw",
        folder / "predictions",
        folder / "score.json",
        folder / "scores",
        ScoreParams(normalizer="squad"),
        squad_v2=squad_v2,
        keep="best",
    )
    figures: dict[str, Any] = json.loads((folder / "score.json").read_bytes())["qa"]["details"][0]
    return figures


def lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a file of JSON lines."""
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def labels(folder: Path, split: str = "train") -> dict[int, list[tuple[int, int]]]:
    """Characters of the labels in the windows of each question, by its row; CLS is left out."""
    found: dict[int, list[tuple[int, int]]] = {}
    for part in feature_batches(folder / "features" / f"{split}.arrow"):
        bounds = part.window_tokens()
        for window, question in enumerate(part.example.tolist()):
            spans = found.setdefault(question, [])
            first, last = int(part.start_position[window]), int(part.end_position[window])
            if first != part.cls[window]:
                assert part.context_start[window] <= first <= last < part.context_end[window]
                start, end = bounds[window] + first, bounds[window] + last
                spans.append((int(part.char_start[start]), int(part.char_end[end])))
            else:
                assert last == first
    return found


def write_best_logits(folder: Path) -> None:
    """Logits of a reader that is sure of every label of the test windows."""
    parts = []
    for part in feature_batches(folder / "features" / "test.arrow"):
        values = np.zeros((part.tokens, 2), np.float32)
        labelled = part.start_position != part.cls
        first = part.window_tokens()[:-1][labelled]
        values[first + part.start_position[labelled], 0] = 9.0
        values[first + part.end_position[labelled], 1] = 9.0
        parts.append(values)
    write_logits(folder, np.concatenate(parts))


def answers(folder: Path) -> dict[str, str]:
    """The answers by question id."""
    texts: dict[str, str] = json.loads((folder / "predictions" / "predictions.json").read_bytes())
    return texts
