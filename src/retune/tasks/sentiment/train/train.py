"""Stage `train`: fit one model on the train texts, keep the epoch with the best accuracy."""

from collections.abc import Mapping
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from transformers import PreTrainedModel

from retune.core.errors import RetuneError
from retune.core.params import STRICT
from retune.models.batches import Batch
from retune.models.checkpoints import load_tokenizer
from retune.models.losses import label_count, loss_sum, mean_loss
from retune.models.positions import max_positions
from retune.models.tokenizer_checks import id_count
from retune.tasks.sentiment.predict.batches import Collator, label_logits
from retune.tasks.sentiment.predict.predict import PredictParams, logits_of
from retune.tasks.sentiment.texts.examples import LABELS
from retune.tasks.sentiment.texts.features import Rows, read_rows
from retune.tasks.sentiment.texts.outputs import answers, positive_probabilities
from retune.training.adversarial import (
    Embedded,
    perturbed_embeddings,
    recorded_embeddings,
    worst_perturbation,
)
from retune.training.arguments import OptimizationParams, cannot_use
from retune.training.distributed import Share
from retune.training.ema import AveragingTrainer
from retune.training.launch import SETTING
from retune.training.seeding import seed_everything
from retune.training.trainer import Reports, Setup, publish_model, write_reports

_SPLITS = ("train", "validation")


class Build(Protocol):
    """Makes a model with fresh weights wherever no checkpoint gives them."""

    def __call__(self, *, vocabulary_size: int, pad_token_id: int) -> PreTrainedModel:
        """Build the model on the CPU, in float32."""
        ...


_Weight = Annotated[float, Field(gt=0.0)]


@dataclass(frozen=True, config=STRICT)
class ClassWeights:
    """By how much a text of each label counts in the training loss."""

    negative: _Weight
    positive: _Weight

    @classmethod
    def balanced(cls, labels: NDArray[np.int8]) -> "ClassWeights":
        """Return the weights by which both labels count alike over all texts.

        Raises:
            RetuneError: `labels`, shape (N,), has one label only.
        """
        counts = np.bincount(labels, minlength=len(LABELS)).tolist()
        for name, count in zip(LABELS, counts, strict=True):
            if not count:
                raise RetuneError(
                    f"sentiment.train.class_weights is balanced, but no training text is {name}; "
                    "set it to null, or add such texts"
                )
        return cls(*(len(labels) / (len(LABELS) * count) for count in counts))


def _in_one_sentence(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    """Say once what is allowed, where pydantic would say it for each kind of value."""
    try:
        return validate(value)
    except ValidationError:
        raise ValueError(
            f"expected null, balanced, or a weight above 0 for each of {' and '.join(LABELS)}"
        ) from None


@dataclass(frozen=True, config=STRICT)
class TrainParams(OptimizationParams):
    """Section `sentiment.train`.

    With `adversarial_epsilon` above 0 each batch is trained on twice: as it is, and with the
    embeddings of each text moved by that length along their gradient, to where its loss rises
    fastest (`retune.training.adversarial`). The gradients are added, and clipped together; dropout
    is drawn anew. What is logged and counted is the first pass.

    With `ema_decay` above 0 an exponential moving average of the weights is evaluated and kept in
    their place (`retune.training.ema`).

    `class_weights` multiply the loss of each label's texts; null means 1 for all, "balanced" the
    number of texts over that of the label's times 2. The loss is the weighted mean. The
    evaluation does not use them.
    """

    section: ClassVar[str] = "sentiment.train"

    adversarial_epsilon: Annotated[float, Field(ge=0.0, le=100.0)]
    ema_decay: Annotated[float, Field(ge=0.0, lt=1.0)]
    class_weights: Annotated[
        ClassWeights | Literal["balanced"] | None, WrapValidator(_in_one_sentence)
    ]

    def weights_of(self, labels: NDArray[np.int8]) -> ClassWeights | None:
        """Return the class weights for training texts of these `labels`, shape (N,)."""
        if self.class_weights == "balanced":
            return ClassWeights.balanced(labels)
        return self.class_weights


def train(
    features: Path,
    model_folder: Path,
    curves_folder: Path,
    costs: Path,
    times: Path,
    *,
    build: Build,
    params: TrainParams,
    seed: int,
    settings: Mapping[str, Any] | None = None,
) -> str:
    """Train the model that `build` makes; write it to `model_folder` in Hugging Face layout.

    With `settings`, which are all that the result depends on besides the sealed folder
    `features` and `seed`, a training that was killed goes on from its last checkpoint.
    """
    rows, validation = (read_rows(features / f"{split}.arrow") for split in _SPLITS)
    tokenizer = load_tokenizer(features / "tokenizer")
    seed_everything(seed)  # before building: what no checkpoint gives is drawn at random
    model = build(vocabulary_size=id_count(tokenizer), pad_token_id=int(tokenizer.pad_token_id))
    _require_positions(model, int(max(rows.lengths.max(), validation.lengths.max())))
    if settings is not None:
        settings = {**settings, "seed": seed}
    setup = Setup.of(
        params, seed, model_folder, settings, [features], best_metric="accuracy", padded=True
    )
    collate = Collator.for_model(model, tokenizer)
    evaluation = Evaluation(
        model, validation, collate, PredictParams(params.eval_batch_size, params.precision)
    )
    trainer = LabelTrainer(
        model, rows, rows.lengths.tolist(), collate, evaluation, setup,
        adversarial_epsilon=params.adversarial_epsilon, ema_decay=params.ema_decay,
        class_weights=params.weights_of(rows.labels),
    )  # fmt: skip
    end = trainer.train_to_the_end(setup.begun)
    if not setup.arguments.should_save:
        return ""  # the first process writes for all
    best_checkpoint = trainer.to_publish(setup.checkpoints[end.best_step])
    weights = publish_model(best_checkpoint, model_folder, tokenizer, params.section)
    details = {"model_bytes": weights.stat().st_size}
    reports = Reports(curves_folder, costs, times)
    curves, taken = write_reports(reports, trainer, setup, end, unit="texts", details=details)
    setup.checkpoints.remove()
    best = max(curves.validation, key=itemgetter("accuracy"))
    return (
        f"best epoch {best['epoch']:.0f}: accuracy {best['accuracy']:.2f}, loss "
        f"{best['loss']:.3f}; {taken['train_texts_per_second']:.1f} texts/s"
    )


class LabelTrainer(AveragingTrainer):
    """`Trainer` with the mean loss of a joint batch's texts and, if asked, of perturbed ones.

    Args:
        parts: as for `JointTrainer`.
        adversarial_epsilon: see `TrainParams`.
        ema_decay: as for `AveragingTrainer`.
        class_weights: of a text, by its label; without any, all texts count alike.

    Raises:
        RetuneError: the perturbations cannot be had, or the average of the weights.
    """

    def __init__(
        self,
        *parts: Any,
        adversarial_epsilon: float,
        ema_decay: float,
        class_weights: ClassWeights | None,
    ) -> None:
        super().__init__(*parts, ema_decay=ema_decay)
        self.adversarial_epsilon = adversarial_epsilon
        self.class_weights: Tensor | None = None  # (2,)
        if class_weights is not None:
            by_label = [getattr(class_weights, name) for name in LABELS]
            self.class_weights = torch.tensor(by_label, device=self.args.device)
        if adversarial_epsilon and self.is_deepspeed_enabled:
            raise self._not_adversarial(
                f"{SETTING} asks for DeepSpeed, which takes a pass a step",
                "launch without DeepSpeed",
            )
        if adversarial_epsilon and self.args.n_gpu > 1:
            raise self._not_adversarial(
                f"{self.args.n_gpu} GPUs are used by one process",
                f"start a process for each by {SETTING}",
            )

    def training_step(self, model: nn.Module, inputs: Batch, *rest: Any) -> Tensor:
        """Add the gradients of a part of a joint batch; give the loss of its unperturbed texts.

        Raises:
            RetuneError: the model does not embed the batch in one call.
        """
        if not self.adversarial_epsilon:
            return super().training_step(model, inputs, *rest)
        embedding = self._embedding()
        with recorded_embeddings(embedding) as calls, self.accelerator.no_sync(model):
            loss: Tensor = super().training_step(model, inputs, *rest)
        gradient = self._gradient(calls, inputs["input_ids"])
        perturbation = worst_perturbation(gradient, self.adversarial_epsilon)
        with perturbed_embeddings(embedding, perturbation):
            super().training_step(model, inputs, *rest)
        return loss

    def _embedding(self) -> nn.Module:
        try:
            return self.inner.get_input_embeddings()
        except NotImplementedError:
            raise self._cannot("tell its embeddings") from None

    def _gradient(self, calls: list[Embedded], input_ids: Tensor) -> Tensor:
        """Of the embeddings (B, T, E) of `input_ids` (B, T), if they were read so."""
        if len(calls) == 1:
            read, gradient = calls[0].inputs, calls[0].embeddings.grad
            if isinstance(read, Tensor) and read.shape == input_ids.shape and gradient is not None:
                return gradient
        raise self._cannot("embed a batch in one call")

    def _cannot(self, what: str) -> RetuneError:
        why = f"{type(self.inner).__name__} does not {what}"
        return self._not_adversarial(why, "choose another model")

    def _not_adversarial(self, why: str, remedy: str) -> RetuneError:
        setting = f"{self.section}.adversarial_epsilon"
        return cannot_use(setting, self.adversarial_epsilon, why, remedy)

    def loss_share(self, model: nn.Module, inputs: Batch, joint: Tensor) -> Tensor:
        """What the texts of a part of a joint batch add to the weighted mean."""
        logits = label_logits(model, inputs)
        return mean_loss(logits, inputs["labels"], joint, self.class_weights)

    def counts(self, inputs: Batch) -> Tensor:
        """Count the texts of a part of a joint batch, each by its class's weight."""
        return label_count(inputs["labels"], self.class_weights)


class Evaluation:
    """Loss and accuracy of a model on the validation texts, as the predict stage reads them."""

    def __init__(
        self, model: PreTrainedModel, rows: Rows, collate: Collator, params: PredictParams
    ) -> None:
        self.model, self.rows, self.collate, self.params = model, rows, collate, params

    def __call__(self, share: Share) -> dict[str, float]:
        """`loss`, and `accuracy` in percent; a process computes its share of the logits."""
        run = share.run_of(len(self.rows))
        part = logits_of(self.model, self.rows, self.collate, self.params, run, quiet=True)
        logits = np.concatenate(share.gathered(part))
        labels = self.rows.labels.astype(np.int64)
        loss = loss_sum(torch.from_numpy(logits), torch.from_numpy(labels)).item()
        right = int((answers(positive_probabilities(logits)) == labels).sum())
        return {"loss": loss / len(labels), "accuracy": 100.0 * right / len(labels)}


def _require_positions(model: PreTrainedModel, longest: int) -> None:
    positions = max_positions(model)
    if positions is not None and longest > positions:
        raise RetuneError(
            f"sentiment.tokenize.max_length: texts are up to {longest} tokens long, the model has "
            f"{positions} positions; lower it"
        )
