"""Stage `train`: fit one variant on the train windows, keep the epoch with the best F1.

Every variant has the same loss, the same evaluation and the same training loop
(transformers' `Trainer`); a variant only turns token ids into start and end logits. Several
processes (`retune.training.distributed`) do the same steps as one: `batch_size` is that of all
together.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import torch
from pydantic.dataclasses import dataclass
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from retune.adapters import bundles
from retune.core.errors import RetuneError
from retune.core.params import STRICT
from retune.models.batches import Batch
from retune.models.checkpoints import WEIGHTS, CheckpointParams, load_tokenizer
from retune.models.positions import max_positions
from retune.models.precision import resolved_precision
from retune.models.tokenizer_checks import id_count
from retune.tasks.qa.predict.batches import ANSWER, Collator, span_logits
from retune.tasks.qa.predict.predict import PredictParams
from retune.tasks.qa.train.evaluation import Evaluation, EvaluationParams, answer_counts, batch_loss
from retune.tasks.qa.train.padding import require_readable
from retune.tasks.qa.windows.features import read_rows
from retune.training.arguments import OptimizationParams, require_finite
from retune.training.seeding import seed_everything
from retune.training.trainer import JointTrainer, Reports, Setup, publish_model, write_reports

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerFast


class Build(Protocol):
    """Makes a model with fresh weights wherever no checkpoint gives them."""

    def __call__(self, *, vocabulary_size: int, pad_token_id: int) -> PreTrainedModel:
        """Build the model on the CPU, in float32."""
        ...


@dataclass(frozen=True, config=STRICT)
class TrainParams(OptimizationParams):
    """Section `qa.train`."""

    section: ClassVar[str] = "qa.train"

    evaluation: EvaluationParams


def train(
    raw: Path,
    features: Path,
    model_folder: Path,
    curves_folder: Path,
    costs: Path,
    times: Path,
    *,
    build: Build,
    base: CheckpointParams,
    params: TrainParams,
    seed: int,
    squad_v2: bool,
    settings: Mapping[str, Any] | None = None,
) -> str:
    """Train the model that `build` makes; write it to `model_folder` in Hugging Face layout.

    What was trained on a frozen encoder is written as a bundle (`retune.adapters.bundles`) on
    `base`.

    With `settings`, which are all that the result depends on besides the sealed folders `raw` and
    `features`, a training that was killed goes on from its last checkpoint.
    """
    rows = read_rows(features / "train.arrow")
    tokenizer = load_tokenizer(features / "tokenizer")
    seed_everything(seed)  # before building: a new head is drawn at random
    model = build(vocabulary_size=id_count(tokenizer), pad_token_id=int(tokenizer.pad_token_id))
    lengths = np.asarray(rows["length"])
    _check_length(model, longest=int(lengths.max()))
    collator = Collator.for_model(model, tokenizer, resolved_precision(params.precision))
    require_readable(model, collator, rows[int(lengths.argmax())])
    if settings is not None:
        settings = {**settings, "bundle": getattr(model.config, "bundle", None)}
    reads = raw, features
    setup = Setup.of(
        params, seed, model_folder, settings, reads, best_metric="f1", padded=not collator.packed
    )
    prediction = PredictParams(params.eval_batch_size, params.precision)
    evaluation = Evaluation(raw, features, prediction, params.evaluation, squad_v2)
    trainer = SpanTrainer(model, collator, rows, evaluation, setup)
    end = trainer.train_to_the_end(setup.begun)
    if not setup.arguments.should_save:
        return ""  # the first process writes for all
    weights = _publish(model, setup.checkpoints[end.best_step], base, tokenizer, model_folder)
    whole = 4 * trainer.sizes["parameters"]  # float32
    details = {"full_model_bytes": whole, "model_bytes": weights.stat().st_size}
    reports = Reports(curves_folder, costs, times)
    curves, taken = write_reports(reports, trainer, setup, end, unit="windows", details=details)
    setup.checkpoints.remove()
    best = max(curves.validation, key=lambda row: row["f1"])
    return (
        f"best epoch {best['epoch']:.0f}: EM {best['exact_match']:.2f}, F1 {best['f1']:.2f}; "
        f"{taken['train_windows_per_second']:.1f} windows/s"
    )


class SpanTrainer(JointTrainer):
    """`Trainer` with the span loss, and real answers and scores at each evaluation."""

    def __init__(
        self,
        model: PreTrainedModel,
        collator: Collator,
        rows: "Dataset",
        evaluation: Evaluation,
        setup: Setup,
    ) -> None:
        super().__init__(
            model,
            rows,
            np.asarray(rows["length"]).tolist(),
            partial(collated, collator),
            partial(evaluation, model, collator),
            setup,
        )

    def loss_share(self, model: nn.Module, inputs: Batch, joint: Tensor) -> Tensor:
        """Span loss of a part of a joint batch."""
        start, end = span_logits(model, inputs)
        return batch_loss(start, end, inputs, joint)

    def counts(self, inputs: Batch) -> Tensor:
        """Count the starts and ends of answers in a part of a joint batch."""
        return answer_counts(inputs)


def collated(collator: Collator, windows: Sequence[Any]) -> Batch:
    """The batch of `windows`; of none, a batch with one whose answer counts for nothing."""
    if windows:
        return collator(windows)
    batch = collator([{"input_ids": [0], "token_type_ids": [0], **dict.fromkeys(ANSWER, 0)}])
    return batch | {name: torch.tensor([-1]) for name in ANSWER}


def _publish(
    model: PreTrainedModel,
    checkpoint: Path,
    base: CheckpointParams,
    tokenizer: "PreTrainedTokenizerFast",
    target: Path,
) -> Path:
    """Make a model or a bundle of a checkpoint's weights; return the file that has them."""
    if not bundles.is_bundle(model):
        return publish_model(checkpoint, target, tokenizer, TrainParams.section)
    require_finite(load_file(checkpoint / WEIGHTS), TrainParams.section)
    bundles.publish(checkpoint, target, base, tokenizer)
    return target / bundles.FILE


def _check_length(model: PreTrainedModel, longest: int) -> None:
    positions = max_positions(model)
    if positions is not None and longest > positions:
        raise RetuneError(
            f"qa.tokenize.max_length: windows are up to {longest} tokens long, the model has "
            f"{positions} positions; lower max_length"
        )
