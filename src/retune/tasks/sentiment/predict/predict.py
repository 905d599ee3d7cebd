"""Stage `predict`: the logits of every validation text and its probability of being positive.

A line of `predictions.jsonl` is a text, in the order of the raw data. It has `id`, `logits` (in the
order of `LABELS`) and `positive`, the softmax's probability.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass
from torch import nn
from tqdm import tqdm

from retune.core.errors import RetuneError
from retune.core.files import atomic_path, write_json_lines
from retune.core.numerics import Doubles
from retune.core.params import STRICT, Positive
from retune.models.batches import on_device
from retune.models.outputs import on_best_device, require_finite_logits
from retune.models.precision import Precision, evaluating
from retune.models.tokenizer_checks import id_count, require_vocabulary
from retune.processes.share import ALONE, Share
from retune.tasks.sentiment.predict.batches import Collator, label_logits
from retune.tasks.sentiment.texts.examples import LABELS, read_examples
from retune.tasks.sentiment.texts.features import Rows, read_rows
from retune.tasks.sentiment.texts.predictions import FILE, answers, positive_probabilities

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True, config=STRICT)
class PredictParams:
    """Section `sentiment.predict`."""

    batch_size: Positive
    precision: Precision


def predict(
    raw: Path,
    features: Path,
    model: "PreTrainedModel",
    predictions: Path,
    params: PredictParams,
    share: Share = ALONE,
) -> str:
    """Write the predictions of `model` for the validation texts to the folder `predictions`.

    Several processes share out the batches, and the first one writes.

    Raises:
        RetuneError: features and raw data differ in their texts, the model is for another
            tokenizer, or a logit is not finite.
    """
    from retune.models.pretrained_files import load_tokenizer

    rows = read_rows(features / "validation.arrow")
    ids = [example.id for example in read_examples(raw / "validation.jsonl")]
    if len(ids) != len(rows):
        raise RetuneError(
            f"{features}: has {len(rows):,} validation texts, but {raw} has {len(ids):,}; run the "
            "tokenize stage on this data"
        )
    tokenizer = load_tokenizer(features / "tokenizer")
    require_vocabulary(
        model.config.vocab_size,
        id_count(tokenizer),
        "the model",
        "run the train stage on these features",
    )
    collate = Collator.for_model(model, tokenizer)
    logits = logits_of(on_best_device(model), rows, collate, params, share)
    if not share.is_first:
        return ""
    positive = positive_probabilities(logits)
    texts = zip(ids, logits.tolist(), positive.tolist(), strict=True)
    with atomic_path(predictions) as folder:
        folder.mkdir(parents=True)
        write_json_lines(
            folder / FILE,
            ({"id": id_, "logits": pair, "positive": share} for id_, pair, share in texts),
        )
    return f"{len(rows):,} texts, {np.mean(answers(positive)):.1%} of them positive"


def probabilities_of_ids(
    model: nn.Module,
    collate: Collator,
    params: PredictParams,
    input_ids: Sequence[Sequence[int]],
    share: Share = ALONE,
) -> list[float]:
    """P(positive) of each text, given its token ids, in every process."""
    rows = Rows.without_labels(input_ids)
    logits = logits_of(model, rows, collate, params, share, quiet=True)
    return positive_probabilities(logits).tolist()  # type: ignore[no-any-return]


def logits_of(
    model: nn.Module,
    rows: Rows,
    collate: Collator,
    params: PredictParams,
    share: Share = ALONE,
    *,
    quiet: bool = False,
) -> Doubles:
    """The logits (N, 2) of the texts `rows`, computed in float32, in every process.

    Batches have texts of similar length. A bar shows the progress unless `quiet`.

    Raises:
        RetuneError: a logit is not finite.
    """
    logits = np.empty((len(rows), len(LABELS)), np.float32)
    order: list[int] = np.argsort(rows.lengths, kind="stable")[::-1].tolist()  # the longest first

    def logits_of_batch(numbers: Sequence[int]) -> NDArray[np.float32]:
        batch = on_device(collate([rows[number] for number in numbers]), device)
        values: NDArray[np.float32] = label_logits(model, batch).float().cpu().numpy()
        return values

    bar = tqdm(total=len(order), desc="predict", unit=" texts", disable=quiet)
    with bar, evaluating(model, params.precision) as device:
        for numbers, values in share.computed(order, params.batch_size, logits_of_batch):
            logits[numbers] = values
            bar.update(len(numbers))
    require_finite_logits(logits, lambda row: f"text {row + 1}")
    return logits.astype(np.float64)
