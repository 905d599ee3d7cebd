"""Answers by nested loops over windows, starts and ends: the popular algorithm, rewritten.

The loops have the order of the well-known example scripts: a question at a time, a
window at a time, the n best starts times the n best ends, filter, sort, softmax, texts. It
follows retune's rule for candidates (starts and ends among the tokens of the context, ties to
the lowest position, a span of characters counts once), so that the answers must equal those of
`retune.tasks.qa.postprocess.postprocess`. If no pair is valid, it does not search further.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Row = Mapping[str, Any]  # a window: cls, context_start, context_end, offset_mapping (T, 2)


def nested_loops(
    questions: Iterable[tuple[str, str]],
    windows_of: Sequence[Sequence[int]],
    rows: Sequence[Row],
    logits: Sequence[NDArray[np.float32]],
    n_best: int,
    max_answer_length: int,
) -> Iterator[dict[str, Any]]:
    """Yield id, text, null score and n-best list of each question of a SQuAD 1.1 run.

    Args:
        questions: (id, context) of each.
        windows_of: for each question the rows of its windows.
        rows: windows; anything whose items are mappings, such as a `datasets.Dataset`.
        logits: for each window, shape (T, 2).
        n_best: starts and ends of a window, and spans of a question.
        max_answer_length: in tokens.
    """
    for (id_, context), windows in zip(questions, windows_of, strict=True):
        found: dict[tuple[int, int], dict[str, Any]] = {}
        null = float("inf")
        for window in windows:
            # The well-known scripts look up two columns, each of which decodes the whole row.
            rows[window].get("token_is_max_context")
            row, values = rows[window], logits[window]
            null = min(null, float(values[row["cls"], 0]) + float(values[row["cls"], 1]))
            _add_spans(found, row, values, n_best, max_answer_length)
        best = sorted(found.values(), key=_order)[:n_best]
        scores = np.array([span.pop("score") for span in best])
        weights = np.exp(scores - scores.max())
        for span, share in zip(best, weights / weights.sum(), strict=True):
            span["probability"] = round(float(share), 12)
            span["text"] = context[span["start"] : span["end"]]
        yield {"id": id_, "text": best[0]["text"], "null_score": null, "candidates": best}


def _order(span: Mapping[str, Any]) -> tuple[float, int, int]:
    return -span["score"], span["start"], span["end"]


def _add_spans(
    found: dict[tuple[int, int], dict[str, Any]],
    row: Row,
    logits: NDArray[np.float32],
    n_best: int,
    max_answer_length: int,
) -> None:
    low, high = row["context_start"], row["context_end"]
    starts = (np.argsort(-logits[low:high, 0], kind="stable")[:n_best] + low).tolist()
    ends = (np.argsort(-logits[low:high, 1], kind="stable")[:n_best] + low).tolist()
    start_logits, end_logits = logits[:, 0].tolist(), logits[:, 1].tolist()
    offsets = row["offset_mapping"]
    for start in starts:
        for end in ends:
            if end < start or end - start + 1 > max_answer_length:
                continue
            chars = offsets[start][0], offsets[end][1]
            score = start_logits[start] + end_logits[end]
            if chars[0] >= chars[1] or (chars in found and found[chars]["score"] >= score):
                continue
            found[chars] = {
                "start": chars[0],
                "end": chars[1],
                "start_logit": start_logits[start],
                "end_logit": end_logits[end],
                "score": score,
            }
