"""Distillation: a student learns the n-best answers of a teacher (Hinton et al. 2015).

The score of a span is the sum of its start and end logit. At the temperature T, the spans of a
question's n-best list have the probabilities softmax(score / T). In a window, the probability that
the answer begins at a token is the sum over the spans that begin there, and likewise for its end.
What belongs to no span in the window belongs to its CLS token, which is the label of windows
without an answer. The student's logits are divided by T, too, and its cross-entropy is multiplied
by T^2, which keeps the size of the gradients (ibid., section 2).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from retune.core.errors import RetuneError
from retune.core.files import read_json_lines
from retune.core.numerics import exp
from retune.core.params import STRICT
from retune.models.batches import Batch
from retune.tasks.qa.postprocess.postprocess import N_BEST
from retune.tasks.qa.predict.batches import real_tokens, span_logits
from retune.tasks.qa.questions.examples import read_examples
from retune.tasks.qa.train.evaluation import answer_counts, batch_loss

if TYPE_CHECKING:
    from datasets import Dataset

#: The key in windows and batches for the teacher's probabilities.
TEACHER = "teacher"


@dataclass(frozen=True, config=STRICT)
class DistillationParams:
    """Section `qa.train.distillation`, for a training with a teacher's answers.

    Attributes:
        weight: of the teacher's answers in the loss; the label has the rest.
        temperature: T above; the higher, the more the teacher's lesser answers count.
    """

    weight: Annotated[float, Field(gt=0.0, le=1.0)]
    temperature: Annotated[float, Field(ge=1.0)]


class Spans(NamedTuple):
    """The n-best list of a question: K spans of characters, and their probabilities at T.

    The probability of no answer is 1 less their sum.
    """

    start: NDArray[np.int64]  # (K,) first character in the context
    end: NDArray[np.int64]  # (K,) behind the last character
    probability: NDArray[np.float64]  # (K,)


class TaughtRows:
    """Windows with the teacher's probabilities, for a `DataLoader`."""

    def __init__(self, rows: "Dataset", lists: Sequence[Spans]) -> None:
        self.rows, self.lists = rows, lists

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> dict[str, Any]:
        """Return a window; `TEACHER` has shape (tokens, 2), of start and end."""
        row = self.rows[place]
        return {**row, TEACHER: probabilities(row, self.lists[int(row["example"])])}


def read_spans(taught: Path, raw: Path, temperature: float) -> list[Spans] | None:
    """Return the n-best lists of the train questions of `raw`; None if there was no teacher.

    Raises:
        RetuneError: the lists in `taught` are of other questions.
    """
    if not (taught / N_BEST).is_file():
        return None
    lists = {line["id"]: _spans(line, temperature) for line in read_json_lines(taught / N_BEST)}
    ids = [example.id for example in read_examples(raw / "train.jsonl")]
    if missing := [id_ for id_ in ids if id_ not in lists]:
        raise RetuneError(
            f"{taught / N_BEST}: no answers to question {missing[0]} and {len(missing) - 1} more "
            f"of {raw}; run the teach stage on these questions"
        )
    return [lists[id_] for id_ in ids]


def _spans(line: Mapping[str, Any], temperature: float) -> Spans:
    """Return the spans of a line of the n-best file; a null answer is none of them."""
    found = line["candidates"]
    is_span = np.array([c["start"] is not None for c in found], bool)
    scores = np.array(
        [line["null_score"] if c["start"] is None else c["start_logit"] + c["end_logit"]
         for c in found]
    )  # fmt: skip
    weights = exp((scores - scores.max(initial=-np.inf)) / temperature)
    shares = weights / weights.sum()
    spans = [c for c, is_one in zip(found, is_span, strict=True) if is_one]
    start, end = (np.array([c[name] for c in spans], np.int64) for name in ("start", "end"))
    return Spans(start, end, shares[is_span])


def probabilities(window: Mapping[str, Any], spans: Spans) -> NDArray[np.float32]:
    """Return how likely the answer begins and ends at each token of a window, shape (T, 2)."""
    low, high = int(window["context_start"]), int(window["context_end"])
    begins, ends = window["char_start"][low:high], window["char_end"][low:high]
    found = np.zeros((int(window["length"]), 2))
    if high > low:
        is_here = (spans.start >= begins[0]) & (spans.end <= ends[-1])
        first = low + np.searchsorted(ends, spans.start[is_here], side="right")
        last = low + np.searchsorted(begins, spans.end[is_here], side="left") - 1
        share = spans.probability[is_here]
        np.add.at(found, (first, 0), share)
        np.add.at(found, (np.maximum(first, last), 1), share)
    found[int(window["cls"])] += 1.0 - found.sum(axis=0)
    return found.astype(np.float32)


def joined(windows: Sequence[Mapping[str, Any]]) -> Tensor:
    """Return the teacher's probabilities for a batch, shape (real tokens of all windows, 2)."""
    return torch.from_numpy(np.concatenate([window[TEACHER] for window in windows]))


def taught_loss(
    params: DistillationParams, model: nn.Module, inputs: Batch, joint: Tensor
) -> Tensor:
    """What a part of a joint batch adds to the loss by labels and teacher."""
    start, end = span_logits(model, inputs)
    labels = batch_loss(start, end, inputs, joint)
    teacher = distillation_loss(start, end, inputs, params.temperature, joint)
    return (1.0 - params.weight) * labels + params.weight * teacher


def distillation_loss(
    start: Tensor, end: Tensor, batch: Batch, temperature: float, joint: Tensor | None = None
) -> Tensor:
    """Mean cross-entropy of the student's logits (B, T) with the teacher's, times T^2.

    `joint` is as in `span_loss`. A window whose label counts for nothing counts for nothing here.
    """
    target = torch.zeros((*start.shape, 2), device=start.device)
    target[real_tokens(batch).to(start.device)] = batch[TEACHER]
    target *= (batch["start_position"] >= 0)[:, None, None]
    logits = torch.stack([start, end], dim=-1) / temperature
    sums = -(target * logits.log_softmax(dim=1)).sum(dim=(0, 1))
    total = answer_counts(batch) if joint is None else joint
    return (sums / total.clamp(min=1)).sum() / 2 * temperature**2
