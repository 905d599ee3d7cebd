"""The span loss, and the evaluation after each epoch: loss, EM and F1 of the answers."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from tqdm import tqdm

from retune.core.params import STRICT
from retune.models.batches import Batch
from retune.processes.share import Share
from retune.tasks.qa.postprocess.postprocess import PostprocessParams, answers
from retune.tasks.qa.predict.batches import ANSWER, Collator
from retune.tasks.qa.predict.predict import PredictParams, predict_part
from retune.tasks.qa.questions.examples import Example, read_examples
from retune.tasks.qa.score.score import Normalizer, evaluate_answers
from retune.tasks.qa.windows.features import feature_batches, read_rows, read_windows

if TYPE_CHECKING:
    from datasets import Dataset

#: The split that chooses the epoch.
VALIDATION = "validation"


@dataclass(frozen=True, config=STRICT)
class EvaluationParams(PostprocessParams):
    """Section `qa.train.evaluation`: how answers are read and scored to choose the best epoch.

    The section is separate, so that a change of `qa.postprocess` or `qa.score` does not train
    again.
    """

    normalizer: Normalizer


def span_loss(
    start_logits: Tensor,
    end_logits: Tensor,
    start: Tensor,
    end: Tensor,
    joint: Tensor | None = None,
) -> Tensor:
    """Mean of the cross-entropies of start and end, as in BERT (Devlin et al. 2019).

    Logits have shape (B, T), positions (B,). Positions outside the window are ignored; a batch
    without any other has loss 0. For a part of a larger batch, `joint` has the numbers of starts
    and ends in the whole, shape (2,), and the result is the part's contribution to the mean.
    """
    sums, counts = [], []
    for logits, position in ((start_logits, start), (end_logits, end)):
        size = logits.shape[1]
        outside = (position < 0) | (position >= size)
        target = position.masked_fill(outside, -100)
        sums.append(F.cross_entropy(logits, target, reduction="sum", ignore_index=-100))
        counts.append((~outside).sum())
    total = torch.stack(counts) if joint is None else joint
    return (torch.stack(sums) / total.clamp(min=1)).sum() / 2


def answer_counts(batch: Batch) -> Tensor:
    """Count the starts and the ends inside the windows of a batch, shape (2,)."""
    return torch.stack([(batch[name] >= 0).sum() for name in ANSWER])


def batch_loss(start: Tensor, end: Tensor, batch: Batch, joint: Tensor | None = None) -> Tensor:
    """`span_loss` of the logits (B, T) of a batch; `joint` as there."""
    first, last = (batch[name] for name in ANSWER)
    return span_loss(start, end, first, last, joint)


class Evaluation:
    """EM, F1 and loss of a model on the validation split, read as the stages read it."""

    def __init__(
        self,
        raw: Path,
        features: Path,
        prediction: PredictParams,
        reading: EvaluationParams,
        squad_v2: bool,
    ) -> None:
        self.path = features / f"{VALIDATION}.arrow"
        self.rows: Dataset = read_rows(self.path)
        self.windows = read_windows(self.path)
        self.examples: list[Example] = list(read_examples(raw / f"{VALIDATION}.jsonl"))
        self.prediction = prediction
        self.reading = reading
        self.squad_v2 = squad_v2

    def __call__(self, model: nn.Module, collator: Collator, share: Share) -> dict[str, float]:
        """Return `loss`, `exact_match` and `f1` (in percent), the same in every process."""
        losses: list[float] = []

        def add_loss(start: Tensor, end: Tensor, batch: Batch) -> None:
            losses.append(batch_loss(start, end, batch).item() * len(start))

        logits = self._logits(model, collator, share, add_loss)
        loss = sum(share.gathered(sum(losses))) / len(self.windows)
        reading = self.reading
        texts = answers(self.examples, self.windows, logits, reading, self.squad_v2).texts
        golds = [(e.id, [answer.text for answer in e.answers]) for e in self.examples]
        scores = evaluate_answers(
            golds, texts, squad_v2=self.squad_v2, normalizer=reading.normalizer
        )
        return {
            "loss": loss,
            "exact_match": scores.exact_match,
            "f1": scores.f1,
        }

    def _logits(
        self,
        model: nn.Module,
        collator: Collator,
        share: Share,
        on_batch: Callable[[Tensor, Tensor, Batch], None],
    ) -> NDArray[np.float32]:
        """The logits of all windows, shape (tokens, 2); each process computes its share."""
        with tqdm(total=len(self.windows), desc="predict", unit=" windows", leave=False) as bar:
            parts = [
                predict_part(model, part, collator, self.prediction, bar, on_batch, share)
                for part in feature_batches(self.path)
            ]
        return np.concatenate(parts)
