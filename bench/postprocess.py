"""Reading answers: ours against nested loops over windows, starts and ends.

10,570 questions (as many as SQuAD's validation split has) with random logits. Both sides
give the same answers with the same n-best lists (checked once). "Lists": windows and logits
are in memory; the loops get Python lists for each window. "Files": questions, windows and logits
are read while answers are computed; the loops read a `datasets.Dataset` with one row a window in
the popular layout: padded to `max_length`, offsets as pairs, all columns that a model needs.
Neither side writes, and both keep freed memory, as the stage does. Two more have no other side:
the whole stage, with reading and writing, and `evaluate_answers`, from texts to EM and F1.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
from datasets import Dataset

from bench.inputs import ROOT, questions, settings, write_features, write_logits, write_raw
from bench.measure import Side, alternate, parser, report
from bench.nested_loops import nested_loops
from retune.core.memory import keep_freed_memory
from retune.core.params import Params
from retune.tasks.qa.postprocess.logits import read_parts
from retune.tasks.qa.postprocess.postprocess import (
    PostprocessParams,
    postprocess,
    ranked_answers,
    ranked_in_parts,
)
from retune.tasks.qa.questions.examples import read_examples, read_passages
from retune.tasks.qa.score.score import evaluate_answers
from retune.tasks.qa.windows.features import feature_batches, read_windows
from retune.tasks.qa.windows.token_offsets import whole_characters
from retune.tasks.qa.windows.windows import Features

GOALS = {"lists": {"nested loops": 5.0}, "files": {"nested loops": 20.0}}


def main() -> None:
    arguments = parser("postprocess", "Reading answers: ours against nested loops.")
    arguments.add_argument("--questions", type=int, default=10_570, help="(default: 10570)")
    options = arguments.parse_args()
    keep_freed_memory()
    with Params(ROOT / "params.yaml") as params:
        reading = params.section("qa.postprocess", PostprocessParams)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        raw = write_raw(work / "raw", questions(options.questions), questions(10))
        features = write_features(raw, work / "features") / "test.arrow"
        comparisons = compare(work, raw, features, reading, options.rounds)
    report("postprocess", comparisons, options)


def compare(
    work: Path, raw: Path, features: Path, reading: PostprocessParams, rounds: int
) -> list[Any]:
    examples, windows = list(read_examples(raw / "test.jsonl")), read_windows(features)
    values = write_logits(work / "logits", len(windows), windows.tokens)
    bounds = windows.window_tokens()
    logits = [values[low:high] for low, high in pairwise(bounds)]
    windows_of: list[list[int]] = [[] for _ in examples]
    for window, question in enumerate(windows.example.tolist()):
        windows_of[question].append(window)
    rows = popular_rows(features, [example.context for example in examples])
    limits = reading.n_best, reading.max_answer_length

    def loops(source: Any) -> Iterable[Any]:
        texts = ((example.id, example.context) for example in examples)
        return nested_loops(texts, windows_of, source, logits, *limits)

    def loops_from_files() -> Iterable[Any]:
        read = ((e.id, e.context) for e in read_passages(raw / "test.jsonl"))
        source = Dataset.from_file(str(table))
        opened = np.load(work / "logits" / "logits.npy", mmap_mode="r")
        parts = [opened[low:high] for low, high in pairwise(bounds)]
        return nested_loops(read, windows_of, source, parts, *limits)

    def ours_from_files() -> Iterable[Any]:
        read = read_passages(raw / "test.jsonl")
        return ranked_in_parts(read, read_parts(features, work / "logits"), reading, False)

    table = write_popular(rows, work / "popular.arrow")
    ours = partial(ranked_answers, examples, windows, values, reading, False)
    require_same(ours(), loops(rows))
    paths = raw, work / "features", work / "logits", work / "predictions"
    golds = [(example.id, [answer.text for answer in example.answers]) for example in examples]
    texts = {answer.id: answer.text for answer in ours()}
    unit = "questions/s"
    return [
        alternate(
            "postprocess, lists",
            unit,
            {"ours": rate(ours), "nested loops": rate(lambda: loops(rows))},
            rounds,
            GOALS["lists"],
        ),
        alternate(
            "postprocess, files",
            unit,
            {"ours": rate(ours_from_files), "nested loops": rate(loops_from_files)},
            rounds,
            GOALS["files"],
        ),
        alternate(
            "postprocess, whole stage",
            unit,
            {"ours": whole(partial(postprocess, *paths, reading, squad_v2=False), len(examples))},
            rounds,
        ),
        alternate(
            "score",
            unit,
            {"ours": whole(partial(evaluate_answers, golds, texts, squad_v2=False), len(examples))},
            rounds,
        ),
    ]


def rate(answers: Callable[[], Iterable[Any]]) -> Side:
    """Return questions a second; each answer is computed and discarded."""

    def side() -> float:
        begin = time.perf_counter()
        count = sum(1 for _ in answers())
        return count / (time.perf_counter() - begin)

    return side


def whole(work: Callable[[], object], count: int) -> Side:
    """Return questions a second of a function that takes all of them."""

    def side() -> float:
        begin = time.perf_counter()
        work()
        return count / (time.perf_counter() - begin)

    return side


def popular_rows(features: Path, contexts: list[str]) -> list[dict[str, Any]]:
    """Windows as lists, padded, in the columns that the popular scripts give a Dataset.

    Their ends already include combining marks, which retune looks up each time.
    """
    size, rows = settings()[1].max_length, []
    for part in feature_batches(features):
        texts = [contexts[number] for number in dict.fromkeys(part.example.tolist())]
        rows += _rows(cast(Features, whole_characters(part, texts)), size)
    return rows


def _rows(part: Features, size: int) -> Iterable[dict[str, Any]]:
    bounds = part.window_tokens()
    for row, (low, high) in enumerate(pairwise(bounds)):
        padding = [0] * (size - int(high - low))
        chars = np.stack([part.char_start[low:high], part.char_end[low:high]], axis=1)
        yield {
            "input_ids": part.input_ids[low:high].tolist() + padding,
            "token_type_ids": part.token_type_ids[low:high].tolist() + padding,
            "attention_mask": [1] * int(high - low) + padding,
            "offset_mapping": chars.tolist() + [[0, 0]] * len(padding),
            "example_id": str(part.example[row]),
            "cls": int(part.cls[row]),
            "context_start": int(part.context_start[row]),
            "context_end": int(part.context_end[row]),
        }


def write_popular(rows: list[dict[str, Any]], path: Path) -> Path:
    """Write rows as an Arrow file of `datasets`."""
    from datasets.arrow_writer import ArrowWriter

    with ArrowWriter(path=str(path)) as writer:
        for row in rows:
            writer.write(row)
        writer.finalize()
    return path


def require_same(ours: Iterable[Any], theirs: Iterable[dict[str, Any]]) -> None:
    """Stop if the two sides differ in more than the last digits of a probability."""
    for one, other in zip(ours, theirs, strict=True):
        mine = one.line() | {"text": one.text}
        shares = [[span.pop("probability") for span in x["candidates"]] for x in (mine, other)]
        if mine != other or not np.allclose(*shares, rtol=0, atol=1e-9):
            sys.exit(f"the two sides differ: {mine} and {other}")


if __name__ == "__main__":
    main()
