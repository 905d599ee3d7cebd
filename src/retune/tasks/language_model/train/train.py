"""Stage `train`: teach a model to tell the next token of blocks of text, keep the best epoch."""

import math
from collections.abc import Mapping, Sequence
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
from retune.models.batches import Batch
from retune.models.checkpoints import DECODER_TOKENS, load_tokenizer
from retune.models.precision import evaluating
from retune.models.tokenizer_checks import id_count
from retune.tasks.language_model.models import load
from retune.tasks.language_model.texts.features import read_blocks
from retune.training.arguments import OptimizationParams
from retune.training.distributed import Share
from retune.training.seeding import seed_everything
from retune.training.trainer import JointTrainer, Reports, Setup, publish_model, write_reports

_SPLITS = ("train", "validation")
# Beyond this an exponential is no number any more; a model that untrained says nothing.
_LARGEST_LOSS = 700.0


@dataclass(frozen=True, config=STRICT)
class TrainParams(OptimizationParams):
    """Section `language_model.train`; the best epoch is the one with the lowest loss."""

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

    With `settings`, which are all that the result depends on besides the sealed folders
    `features` and `before`, a training that was killed goes on from its last checkpoint.
    """
    tokenizer = load_tokenizer(features / "tokenizer", DECODER_TOKENS)
    blocks, validation = (
        read_blocks(features / f"{s}.arrow", id_count(tokenizer)) for s in _SPLITS
    )
    seed_everything(seed)
    model = load(before)
    reads = [features, before]
    setup = Setup.of(params, seed, after, settings, reads, best_metric="loss", padded=False)
    trainer = BlockTrainer(model, blocks, Evaluation(model, validation, params), setup)
    first = trainer.score()
    end = trainer.train_to_the_end(setup.begun)
    if not setup.arguments.should_save:
        return ""  # the first process writes for all
    weights = publish_model(setup.checkpoints[end.best_step], after, tokenizer, params.section)
    details = {"model_bytes": weights.stat().st_size}
    reports = Reports(curves_folder, costs, times)
    curves, taken = write_reports(reports, trainer, setup, end, unit="blocks", details=details)
    setup.checkpoints.remove()
    best = min(curves.validation, key=lambda row: row["loss"])
    return (
        f"best epoch {best['epoch']:.0f}: perplexity {best['perplexity']:.2f}, before "
        f"{first['perplexity']:.2f}; {taken['train_blocks_per_second']:.1f} blocks/s"
    )


class BlockTrainer(JointTrainer):
    """`Trainer` with the mean loss of the tokens of a joint batch's blocks."""

    def __init__(
        self,
        model: PreTrainedModel,
        blocks: NDArray[np.int64],
        evaluation: "Evaluation",
        setup: Setup,
    ) -> None:
        count, size = blocks.shape
        super().__init__(model, range(count), [size] * count, self._batch, evaluation, setup)
        self._blocks = torch.from_numpy(blocks)

    def _batch(self, numbers: Sequence[int]) -> Batch:
        """A batch (B, T) of blocks; of none, a single token, after which nothing is asked."""
        if not numbers:
            return {"input_ids": torch.zeros(1, 1, dtype=torch.long)}
        return {"input_ids": self._blocks[list(numbers)]}

    def loss_share(self, model: nn.Module, inputs: Batch, joint: Tensor) -> Tensor:
        """What the tokens of a part of a joint batch add to the mean."""
        return next_token_loss(model, inputs["input_ids"]) / joint

    def counts(self, inputs: Batch) -> Tensor:
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
        """`loss` and `perplexity`, the same in every process; each computes its share."""
        run, size = share.run_of(len(self._blocks)), self.params.eval_batch_size
        total = 0.0
        with evaluating(self.model, self.params.precision) as device:
            for begin in range(run.start, run.stop, size):
                ids = self._blocks[begin : min(begin + size, run.stop)].to(device)
                total += next_token_loss(self.model, ids).item()
        loss = sum(share.gathered(total)) / self._blocks[:, 1:].numel()
        return {"loss": loss, "perplexity": math.exp(min(loss, _LARGEST_LOSS))}


def next_token_loss(model: nn.Module, ids: Tensor) -> Tensor:
    """Of blocks (B, T), the summed cross-entropy, in float32, of all tokens but each first one."""
    logits = model(input_ids=ids, use_cache=False).logits[:, :-1]
    return F.cross_entropy(logits.flatten(0, 1).float(), ids[:, 1:].flatten(), reduction="sum")
