"""Stage `postprocess`: find the answer to every question in the logits of its windows.

The stage, the evaluation during training and `retune ask` all use `ranked_answers`.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise, tee
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass

from retune.core.errors import RetuneError, listed
from retune.core.files import atomic_path, json_lines_writer, write_json, write_json_texts
from retune.core.memory import keep_freed_memory
from retune.core.params import STRICT, Positive
from retune.tasks.qa.postprocess.answers import Answers, Counts, RankedAnswer
from retune.tasks.qa.postprocess.logits import read_parts
from retune.tasks.qa.postprocess.spans import Candidates, Floats, chunks, find_spans, probabilities
from retune.tasks.qa.questions.examples import Passage, read_passages
from retune.tasks.qa.questions.splits import SCORED
from retune.tasks.qa.windows.answer_lengths import note_long_answers
from retune.tasks.qa.windows.token_offsets import whole_characters
from retune.tasks.qa.windows.windows import Windows, changes

#: The file with the n-best list of each question.
N_BEST = "nbest.jsonl"


@dataclass(frozen=True, config=STRICT)
class PostprocessParams:
    """Section `qa.postprocess`.

    `max_answer_length` counts tokens. In a SQuAD 2.0 run the answer is "" if the null
    score is more than `null_threshold` above the score of the best span.
    """

    n_best: Positive
    max_answer_length: Positive
    null_threshold: float


def postprocess(
    raw: Path,
    features: Path,
    logits: Path,
    predictions: Path,
    params: PostprocessParams,
    *,
    squad_v2: bool,
    split: str = SCORED,
) -> str:
    """Answer the questions of `split`.

    The folder `predictions` gets `predictions.json` (text by id), `nbest.jsonl` and `report.json`.
    """
    examples, golds = tee(read_passages(raw / f"{split}.jsonl"))
    keep_freed_memory()
    counts = Counts()
    parts = read_parts(features / f"{split}.arrow", logits)
    parts = note_long_answers(golds, parts, params.max_answer_length, counts.too_long)
    with atomic_path(predictions) as folder, json_lines_writer(folder / N_BEST) as write:

        def texts() -> Iterator[tuple[str, str]]:
            for answer in ranked_in_parts(examples, parts, params, squad_v2):
                write(answer.line())
                counts.add(answer)
                yield answer.id, answer.text

        write_json_texts(folder / "predictions.json", texts())
        write_json(folder / "report.json", counts.report())
    return counts.sentence()


def answers(
    examples: Iterable[Passage],
    windows: Windows,
    logits: Floats,
    params: PostprocessParams,
    squad_v2: bool,
) -> Answers:
    """The answers of `ranked_answers` without their n-best lists; same arguments and errors."""
    found = Answers()
    for answer in ranked_answers(examples, windows, logits, params, squad_v2):
        found.add(answer)
    return found


def ranked_answers(
    examples: Iterable[Passage],
    windows: Windows,
    logits: Floats,
    params: PostprocessParams,
    squad_v2: bool,
) -> Iterator[RankedAnswer]:
    """`ranked_in_parts` of arrays in memory.

    Args:
        examples: the questions; `windows.example` counts them from 0.
        windows: the windows of all questions, in the same order.
        logits: start and end logits, shape (tokens, 2).
        params: see `PostprocessParams`.
        squad_v2: whether questions may be unanswerable.
    """
    if logits.shape != (windows.tokens, 2):
        raise RetuneError(
            f"logits have shape {logits.shape}, but the windows have {windows.tokens} tokens, a "
            "start and an end logit each; run the predict stage on these features"
        )
    return ranked_in_parts(examples, chunks(windows, logits), params, squad_v2)


def ranked_in_parts(
    examples: Iterable[Passage],
    parts: Iterable[tuple[Windows, Floats]],
    params: PostprocessParams,
    squad_v2: bool,
) -> Iterator[RankedAnswer]:
    """Yield the answer and the n-best list of each question, in the order of `examples`.

    In a SQuAD 1.1 run an answer is "" only if no window has a token of the context. Only one
    part and its questions are in memory at a time.

    Args:
        examples: the questions; `Windows.example` counts them from 0.
        parts: some whole questions' windows and their logits, shape (tokens, 2), each; all in
            the order of the questions.
        params: see `PostprocessParams`.
        squad_v2: whether questions may be unanswerable.

    Raises:
        RetuneError: windows, logits and questions do not belong together, or a logit is not
            finite.
    """
    rest = enumerate(examples)
    skipped: list[str] = []
    for part, values in parts:
        questions = list(_matching(rest, part.example[changes(part.example)], skipped))
        _require_finite(values, part, questions)
        _require_offsets(part, questions)
        whole = whole_characters(part, [question.context for question in questions])
        found = find_spans(whole, values, params.n_best, params.max_answer_length)
        yield from _ranked(questions, found, params.null_threshold, squad_v2)
    skipped += [example.id for _, example in rest]
    if skipped:
        raise RetuneError(
            f"{len(skipped)} questions have no window: {listed(skipped)}; run the tokenize stage "
            "on this data"
        )


def _ranked(
    questions: Sequence[Passage], found: Candidates, null_threshold: float, squad_v2: bool
) -> Iterator[RankedAnswer]:
    shares, null_shares = probabilities(found, with_null=squad_v2)
    # More digits would be noise; that they are the same everywhere is up to `numerics.exp`.
    columns = found.start, found.end, found.start_logit, found.end_logit, shares.round(12)
    spans: list[list[Any]] = [column.tolist() for column in columns]
    bounds = pairwise(found.offsets.tolist())
    nulls = zip(found.null_score.tolist(), null_shares.round(12).tolist(), strict=True)
    for question, (low, high), (null, null_share) in zip(questions, bounds, nulls, strict=True):
        lists: list[list[Any]] = [column[low:high] for column in spans]
        context = question.context
        texts = [context[start:end] for start, end in zip(lists[0], lists[1], strict=True)]
        text = texts[0] if texts else ""
        if squad_v2:
            score = list(map(add, lists[2], lists[3]))
            text = "" if score and null - score[0] > null_threshold else text
            better = sum(value >= null for value in score)
            null_answer = "", *[None] * 4, null_share
            for column, value in zip((texts, *lists), null_answer, strict=True):
                column.insert(better, value)
        yield RankedAnswer(question.id, text, null, texts, *lists)


def _matching(
    rest: Iterator[tuple[int, Passage]], rows: NDArray[np.int64], skipped: list[str]
) -> Iterator[Passage]:
    """Take the examples `rows` from `rest`; the ids of those between go to `skipped`."""
    for row in rows.tolist():
        for index, example in rest:
            if index == row:
                yield example
                break
            skipped.append(example.id)
        else:
            raise RetuneError(
                f"a window belongs to question {row} (counted from 0), which the data does not "
                "have; run the tokenize stage on this data"
            )


def _require_finite(logits: Floats, windows: Windows, questions: Sequence[Passage]) -> None:
    finite = np.isfinite(logits)
    if finite.all():
        return
    token, column = np.argwhere(~finite)[0].tolist()
    window = int(np.searchsorted(np.cumsum(windows.lengths), token, side="right"))
    rows = windows.example.tolist()
    question = questions[sorted(set(rows)).index(rows[window])]
    number = rows[: window + 1].count(rows[window])
    raise RetuneError(
        f"question {question.id}, window {number}: the {('start', 'end')[column]} logit of a "
        f"token is {logits[token, column]}; the model is broken, train it again with a lower "
        "learning rate"
    )


def _require_offsets(windows: Windows, questions: Sequence[Passage]) -> None:
    last = np.maximum.reduceat(windows.char_end, windows.question_tokens()[:-1])
    sizes = np.array([len(question.context) for question in questions])
    for row in np.flatnonzero(last > sizes)[:1].tolist():
        raise RetuneError(
            f"question {questions[row].id}: a token ends at character {last[row]} of a context "
            f"with {sizes[row]}; run the tokenize stage on this data"
        )
