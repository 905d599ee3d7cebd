"""Stage `train`: fit one model on the train texts, keep the epoch with the best accuracy."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from transformers import PreTrainedModel

from retune.core.errors import RetuneError
from retune.core.params import STRICT
from retune.core.splits import SPLITS
from retune.models.batches import Batch
from retune.models.losses import label_count, loss_sum, mean_loss
from retune.models.pretrained_files import load_tokenizer
from retune.models.tokenizer_checks import id_count
from retune.processes.share import Share
from retune.tasks.sentiment.predict.batches import Collator, label_logits
from retune.tasks.sentiment.predict.predict import PredictParams, logits_of
from retune.tasks.sentiment.texts.examples import LABELS
from retune.tasks.sentiment.texts.features import Rows, read_rows
from retune.tasks.sentiment.texts.predictions import answers, positive_probabilities
from retune.training.adversarial import AdversarialSteps
from retune.training.arguments import OptimizationParams
from retune.training.ema import WeightAverage
from retune.training.extension import Extension
from retune.training.fit import Build, Results, Scores, build_seeded, fit
from retune.training.trainer import TrainingTask

_Weight = Annotated[float, Field(gt=0.0)]


@dataclass(frozen=True, config=STRICT)
class ClassWeights:
    """The weights of each label's texts in the training loss."""

    negative: _Weight
    positive: _Weight

    @classmethod
    def balanced(cls, labels: NDArray[np.int8]) -> "ClassWeights":
        """Return the weights that give both labels the same total weight.

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
    """Name what is allowed once; pydantic would name it for each type of the union."""
    try:
        return validate(value)
    except ValidationError:
        raise ValueError(
            f"expected null, balanced, or a weight above 0 for each of {' and '.join(LABELS)}"
        ) from None


@dataclass(frozen=True, config=STRICT)
class TrainParams(OptimizationParams):
    """Section `sentiment.train`.

    With `adversarial_epsilon` above 0, each batch is trained on twice: as it is, and with the
    embeddings of each text moved by that length along their gradient, to where its loss rises
    fastest (`retune.training.adversarial`). The gradients are added and clipped together; each pass
    draws its own dropout. The first pass alone is logged and counted.

    With `ema_decay` above 0, an exponential moving average of the weights is evaluated and
    published instead of them (`retune.training.ema`).

    `class_weights` multiply the loss of each label's texts. Null means 1 for all; "balanced" means
    the number of texts divided by twice the number of the label's texts. The loss is the weighted
    mean. The evaluation does not use the weights.
    """

    section: ClassVar[str] = "sentiment.train"

    adversarial_epsilon: Annotated[float, Field(ge=0.0, le=100.0)]
    ema_decay: Annotated[float, Field(ge=0.0, lt=1.0)]
    class_weights: Annotated[
        ClassWeights | Literal["balanced"] | None, WrapValidator(_in_one_sentence)
    ]

    def weights_of(self, labels: NDArray[np.int8]) -> Tensor | None:
        """Return the class weights (2,) for training texts of these `labels`, shape (N,)."""
        weights = self.class_weights
        if weights == "balanced":
            weights = ClassWeights.balanced(labels)
        if weights is None:
            return None
        return torch.tensor([getattr(weights, name) for name in LABELS])

    def extensions(self) -> list[Extension]:
        """Return those of the training that are chosen."""
        average = [WeightAverage(self.ema_decay)] if self.ema_decay else []
        steps = [AdversarialSteps(self.adversarial_epsilon)] if self.adversarial_epsilon else []
        return [*average, *steps]


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
    """Train the model that `build` makes, and write it to `model_folder` in Hugging Face layout.

    With `settings`, a killed training resumes from its last checkpoint. They, the sealed folder
    `features` and `seed` must be all that the result depends on.
    """
    rows, validation = (read_rows(features / f"{split}.arrow") for split in SPLITS)
    tokenizer = load_tokenizer(features / "tokenizer")
    make = partial(build, vocabulary_size=id_count(tokenizer), pad_token_id=tokenizer.pad_token_id)
    longest = int(max(rows.lengths.max(), validation.lengths.max()))
    model = build_seeded(make, seed, tokenizer, longest, "sentiment.tokenize.max_length")
    collate = Collator.for_model(model, tokenizer)
    prediction = PredictParams(params.eval_batch_size, params.precision)
    weights = params.weights_of(rows.labels)
    task = TrainingTask(
        model, tokenizer, rows=rows, lengths=rows.lengths.tolist(), unit="texts",
        collate=lambda texts, _epoch: collate(texts), loss=partial(part_loss, weights),
        count=lambda batch: label_count(batch["labels"], weights),
        evaluate=Evaluation(model, validation, collate, prediction),
        best_metric="accuracy", padded=True, extensions=params.extensions(),
    )  # fmt: skip
    results = Results(model_folder, curves_folder, costs, times)
    return fit(task, results, params, seed, settings, reads=[features], conclude=_told)


def part_loss(weights: Tensor | None, model: nn.Module, inputs: Batch, joint: Tensor) -> Tensor:
    """What the texts of a part of a joint batch add to the weighted mean."""
    return mean_loss(label_logits(model, inputs), inputs["labels"], joint, weights)


class Evaluation:
    """Loss and accuracy of a model on the validation texts, read as in the predict stage."""

    def __init__(
        self, model: PreTrainedModel, rows: Rows, collate: Collator, params: PredictParams
    ) -> None:
        self.model, self.rows, self.collate, self.params = model, rows, collate, params

    def __call__(self, share: Share) -> dict[str, float]:
        """Return `loss`, and `accuracy` in percent; each process computes its share of logits."""
        logits = logits_of(self.model, self.rows, self.collate, self.params, share, quiet=True)
        labels = self.rows.labels.astype(np.int64)
        loss = loss_sum(torch.from_numpy(logits), torch.from_numpy(labels)).item()
        right = int((answers(positive_probabilities(logits)) == labels).sum())
        return {"loss": loss / len(labels), "accuracy": 100.0 * right / len(labels)}


def _told(_before: Scores, best: Scores) -> str:
    return f"accuracy {best['accuracy']:.2f}, loss {best['loss']:.3f}"
