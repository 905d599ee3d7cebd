"""Stage `train`: train a language model on blocks of text and keep the best epoch."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from transformers import PreTrainedModel

from retune.core.params import STRICT
from retune.core.splits import SPLITS
from retune.models.batches import Batch, batches
from retune.models.losses import perplexity
from retune.models.precision import evaluating
from retune.models.pretrained_files import DECODER_TOKENS, load_tokenizer
from retune.models.tokenizer_checks import id_count
from retune.processes.share import Share
from retune.tasks.language_model.models import load
from retune.tasks.language_model.texts.features import read_blocks
from retune.training.arguments import OptimizationParams
from retune.training.fit import Results, Scores, build_seeded, fit
from retune.training.trainer import TrainingTask


@dataclass(frozen=True, config=STRICT)
class TrainParams(OptimizationParams):
    """Section `language_model.train`; the best epoch has the lowest loss."""

    section: ClassVar[str] = "language_model.train"


def train(
    features: Path,
    before: Path,
    after: Path,
    curves_folder: Path,
    costs: Path,
    times: Path,
    *,
    params: TrainParams,
    seed: int,
    settings: Mapping[str, Any] | None = None,
) -> str:
    """Train the model in the folder `before` on the blocks of `features`; write it to `after`.

    With `settings`, a killed training resumes from its last checkpoint. They and the sealed folders
    `features` and `before` must be all that the result depends on.
    """
    tokenizer = load_tokenizer(features / "tokenizer", DECODER_TOKENS)
    blocks, validation = (read_blocks(features / f"{s}.arrow", id_count(tokenizer)) for s in SPLITS)
    count, size = blocks.shape
    model = build_seeded(
        partial(load, before), seed, tokenizer, size, "language_model.tokenize.block_size"
    )
    task = TrainingTask(
        model, tokenizer, rows=range(count), lengths=[size] * count, unit="blocks",
        collate=partial(block_batch, torch.from_numpy(blocks)), loss=part_loss, count=token_count,
        evaluate=Evaluation(model, validation, params), best_metric="loss", padded=False,
    )  # fmt: skip
    results, reads = Results(after, curves_folder, costs, times), [features, before]
    return fit(task, results, params, seed, settings, reads=reads, conclude=_told, score_first=True)


def block_batch(blocks: Tensor, numbers: Sequence[int], _epoch: int = 0) -> Batch:
    """The batch (B, T) of some blocks; of none, a single token, which nothing follows."""
    if not numbers:
        return {"input_ids": torch.zeros(1, 1, dtype=torch.long)}
    return {"input_ids": blocks[list(numbers)]}


def part_loss(model: nn.Module, inputs: Batch, joint: Tensor) -> Tensor:
    """What the tokens of a part of a joint batch add to the mean."""
    return next_token_loss(model, inputs["input_ids"]) / joint


def token_count(inputs: Batch) -> Tensor:
    """Count the tokens of a part of a joint batch, without each block's first."""
    return torch.tensor(inputs["input_ids"][:, 1:].numel())


class Evaluation:
    """Loss and perplexity of a model on the validation blocks (N, T)."""

    def __init__(
        self, model: PreTrainedModel, blocks: NDArray[np.int64], params: TrainParams
    ) -> None:
        self.model, self.params = model, params
        self._blocks = torch.from_numpy(blocks)

    def __call__(self, share: Share) -> dict[str, float]:
        """Return `loss` and `perplexity`, the same in every process; each computes its share."""
        run, size = share.run_of(len(self._blocks)), self.params.eval_batch_size
        total = 0.0
        with evaluating(self.model, self.params.precision) as device:
            for _, batch in batches(run, size, partial(block_batch, self._blocks), device):
                total += next_token_loss(self.model, batch["input_ids"]).item()
        loss = sum(share.gathered(total)) / self._blocks[:, 1:].numel()
        return {"loss": loss, "perplexity": perplexity(loss)}


def next_token_loss(model: nn.Module, ids: Tensor) -> Tensor:
    """The sum, in float32, of the cross-entropies of all tokens of blocks (B, T) but the first."""
    logits = model(input_ids=ids, use_cache=False).logits[:, :-1]
    return F.cross_entropy(logits.flatten(0, 1).float(), ids[:, 1:].flatten(), reduction="sum")


def _told(before: Scores, best: Scores) -> str:
    return f"perplexity {best['perplexity']:.2f}, before {before['perplexity']:.2f}"
