"""Stage `train`: fit one variant on the train windows and keep the best or the last epoch.

All variants share the loss, the evaluation and the training loop; a variant only turns token ids
into start and end logits.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from retune.adapters import bundles
from retune.core.errors import RetuneError
from retune.core.params import STRICT, Fraction
from retune.models.batches import Batch
from retune.models.precision import resolved_precision
from retune.models.pretrained_files import PretrainedParams, load_tokenizer
from retune.models.tokenizer_checks import id_count
from retune.tasks.qa.predict.batches import ANSWER, Collator, span_logits
from retune.tasks.qa.predict.predict import PredictParams
from retune.tasks.qa.questions.splits import Keep
from retune.tasks.qa.train.cropping import Cropper, PlacedRows
from retune.tasks.qa.train.distillation import (
    TEACHER,
    DistillationParams,
    TaughtRows,
    joined,
    read_spans,
    taught_loss,
)
from retune.tasks.qa.train.evaluation import (
    VALIDATION,
    Evaluation,
    EvaluationParams,
    answer_counts,
    batch_loss,
)
from retune.tasks.qa.train.padding import require_readable
from retune.tasks.qa.windows.features import read_rows
from retune.training.arguments import OptimizationParams
from retune.training.ema import WeightAverage
from retune.training.fit import Build, Results, Scores, build_seeded, fit, publish_model
from retune.training.trainer import TrainingTask

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True, config=STRICT)
class TrainParams(OptimizationParams):
    """Section `qa.train`.

    `keep` says which epoch is published: the one with the `best` F1 on the validation split, or the
    `last`, which needs no such split. `distillation` is needed where the stage gets the answers of
    a teacher. `crop` is the chance that a window is cropped around its answer in an epoch. With
    `ema_decay` above 0, an exponential moving average of the weights is evaluated and published
    (`retune.training.ema`).
    """

    section: ClassVar[str] = "qa.train"

    keep: Keep
    evaluation: EvaluationParams
    distillation: DistillationParams | None = None
    crop: Fraction = 0.0
    ema_decay: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0

    def __post_init__(self) -> None:
        if self.keep == "last" and self.patience is not None:
            raise ValueError(
                f"keep is last, which trains all epochs, but patience is {self.patience}; set "
                "patience: null, or keep: best"
            )


def train(
    raw: Path,
    features: Path,
    model_folder: Path,
    curves_folder: Path,
    costs: Path,
    times: Path,
    *,
    build: Build,
    base: PretrainedParams,
    params: TrainParams,
    seed: int,
    squad_v2: bool,
    taught: Path | None = None,
    settings: Mapping[str, Any] | None = None,
) -> str:
    """Train the model that `build` makes, and write it to `model_folder` in Hugging Face layout.

    A model with a frozen encoder is written as a bundle (`retune.adapters.bundles`) on `base`.

    With the answers of a teacher in `taught` (`retune.tasks.qa.teach`), the loss is that of
    `qa.train.distillation`.

    With `settings`, a killed training resumes from its last checkpoint. They and the sealed folders
    `raw`, `features` and `taught` must be all that the result depends on.

    Raises:
        RetuneError: the best epoch is asked for without a validation split, or data, model and
            params do not fit together.
    """
    evaluated = (features / f"{VALIDATION}.arrow").is_file()
    if not evaluated and params.keep == "best":
        raise RetuneError(
            f"{features}: no {VALIDATION}.arrow, so that no epoch is the best: set "
            "qa.download.validation_share (such as 0.1), name files in "
            "qa.datasets.files.validation, or set qa.train.keep: last"
        )
    rows = read_rows(features / "train.arrow")
    tokenizer = load_tokenizer(features / "tokenizer")
    lengths = np.asarray(rows["length"])
    make = partial(build, vocabulary_size=id_count(tokenizer), pad_token_id=tokenizer.pad_token_id)
    longest = int(lengths.max())
    model = build_seeded(make, seed, tokenizer, longest, "qa.tokenize.max_length")
    collator = Collator.for_model(model, tokenizer, resolved_precision(params.precision))
    require_readable(model, collator, rows[int(lengths.argmax())])
    evaluate = None
    if evaluated:
        prediction = PredictParams(params.eval_batch_size, params.precision)
        evaluation = Evaluation(raw, features, prediction, params.evaluation, squad_v2)
        evaluate = partial(evaluation, model, collator)
    seen, loss = _taught(rows, raw, taught, params.distillation)
    cropper = Cropper(params.crop, seed) if params.crop else None
    task = TrainingTask(
        model, tokenizer, rows=PlacedRows(seen) if cropper else seen, lengths=lengths.tolist(),
        collate=partial(collated, collator, cropper), loss=loss, count=answer_counts,
        evaluate=evaluate, best_metric="f1" if params.keep == "best" else None,
        padded=not collator.packed, unit="windows",
        extensions=[WeightAverage(params.ema_decay)] if params.ema_decay else [],
    )  # fmt: skip
    results = Results(model_folder, curves_folder, costs, times)
    reads = [folder for folder in (raw, features, taught) if folder]
    return fit(
        task, results, params, seed, settings, reads=reads, conclude=_told,
        publish=partial(bundles.publish, base=base) if bundles.is_bundle(model) else publish_model,
        costs={"full_model_bytes": 4 * model.num_parameters()},  # float32
    )  # fmt: skip


def _taught(
    rows: "Dataset", raw: Path, taught: Path | None, params: DistillationParams | None
) -> tuple[Any, Callable[[nn.Module, Batch, Tensor], Tensor]]:
    """Return the rows to train on and the loss of a part of a joint batch."""
    if taught is None:
        if params is not None:
            raise RetuneError(
                "qa.train.distillation is set, but no teacher's answers were given to the train "
                "stage (--taught); set it to null"
            )
        return rows, part_loss
    if params is None:
        raise RetuneError(
            f"{taught} may have a teacher's answers, but qa.train.distillation is null; set its "
            "weight and temperature, such as {weight: 1.0, temperature: 2.0}"
        )
    spans = read_spans(taught, raw, params.temperature)
    if spans is None:
        return rows, part_loss
    return TaughtRows(rows, spans), partial(taught_loss, params)


def part_loss(model: nn.Module, inputs: Batch, joint: Tensor) -> Tensor:
    """What a part of a joint batch adds to the span loss."""
    start, end = span_logits(model, inputs)
    return batch_loss(start, end, inputs, joint)


def collated(
    collator: Collator, cropper: Cropper | None, windows: Sequence[Any], epoch: int
) -> Batch:
    """The batch of `windows` in an epoch; of none, that of one whose answer counts for nothing."""
    if windows:
        windows = cropper(windows, epoch) if cropper else windows
        taught = {TEACHER: joined(windows)} if TEACHER in windows[0] else {}
        return collator(windows) | taught
    batch = collator([{"input_ids": [0], "token_type_ids": [0], **dict.fromkeys(ANSWER, 0)}])
    batch |= {name: torch.tensor([-1]) for name in ANSWER}
    return batch | {TEACHER: torch.zeros(1, 2)}


def _told(_before: Scores, kept: Scores) -> str:
    if not kept:
        return "not evaluated"
    return f"EM {kept['exact_match']:.2f}, F1 {kept['f1']:.2f} on validation"
