"""Stage `predict`: start and end logits of every evaluation window, part by part.

`logits.npy` has shape (tokens of all windows, 2), float32, without padding and in the order of the
features; `windows.json` counts windows and tokens.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from tqdm import tqdm

from retune.core.files import atomic_path, write_json
from retune.core.params import STRICT, Positive
from retune.models.batches import Batch, on_device
from retune.models.outputs import on_best_device, require_finite_logits
from retune.models.precision import Precision, evaluating, resolved_precision
from retune.models.tokenizer_checks import id_count, require_vocabulary
from retune.processes.share import ALONE, Share
from retune.tasks.qa.predict.batches import Collator, real_tokens, span_logits
from retune.tasks.qa.questions.splits import SCORED
from retune.tasks.qa.windows.features import count_windows, feature_batches
from retune.tasks.qa.windows.windows import Features

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True, config=STRICT)
class PredictParams:
    """Section `qa.predict`."""

    batch_size: Positive
    precision: Precision


def predict(
    features: Path,
    model: "PreTrainedModel",
    logits: Path,
    params: PredictParams,
    split: str = SCORED,
    share: Share = ALONE,
) -> str:
    """Write the logits of the windows of `split` in `features` to the folder `logits`.

    Several processes share out the batches, and the first one writes.
    """
    from retune.models.pretrained_files import load_tokenizer

    on_best_device(model)
    path = features / f"{split}.arrow"
    counts = count_windows(path)
    precision = resolved_precision(params.precision)
    tokenizer = load_tokenizer(features / "tokenizer")
    require_vocabulary(
        model.config.vocab_size,
        id_count(tokenizer),
        "the model",
        "run the train stage on these features",
    )
    collator = Collator.for_model(model, tokenizer, precision)
    with tqdm(total=counts["windows"], desc="predict", unit=" windows") as bar:
        parts = (
            predict_part(model, part, collator, params, bar, share=share)
            for part in feature_batches(path)
        )
        if share.is_first:
            _write(logits, parts, counts)
        else:
            for _ in parts:  # computes this process's batches
                pass
    return f"{counts['windows']:,} windows, {counts['tokens']:,} tokens"


def _write(logits: Path, parts: Iterator[NDArray[np.float32]], counts: Mapping[str, int]) -> None:
    """Write the folder `logits`, part by part as they are computed."""
    with atomic_path(logits) as folder:
        folder.mkdir(parents=True)
        with (folder / "logits.npy").open("wb") as file:
            np.lib.format.write_array_header_1_0(file, _header(counts["tokens"]))
            for part in parts:
                file.write(part.tobytes())
        write_json(folder / "windows.json", counts)


def predict_part(
    model: nn.Module,
    part: Features,
    collator: Collator,
    params: PredictParams,
    bar: "tqdm[Any]",
    on_batch: Callable[[Tensor, Tensor, Batch], None] | None = None,
    share: Share = ALONE,
) -> NDArray[np.float32]:
    """Start and end logits of the windows in `part`, shape (tokens, 2), in every process.

    Batches have windows of similar length; the result is in the order of `part`. `on_batch`
    receives start logits (B, T), end logits (B, T) and the batch, in the process that computes it.

    Raises:
        RetuneError: a logit is not finite.
    """
    output = np.empty((part.tokens, 2), np.float32)
    bounds = part.window_tokens().tolist()
    order: list[int] = np.argsort(part.lengths, kind="stable")[::-1].tolist()  # the longest first

    def logits_of(rows: Sequence[int]) -> NDArray[np.float32]:
        batch = on_device(collator(window_rows(part, rows)), device)
        start, end = span_logits(model, batch)
        if on_batch is not None:
            on_batch(start, end, batch)
        real = real_tokens(batch)
        values: NDArray[np.float32] = (
            torch.stack([start[real], end[real]], dim=-1).float().cpu().numpy()
        )
        return values

    with evaluating(model, params.precision) as device:
        for rows, values in share.computed(order, params.batch_size, logits_of):
            sizes = part.lengths[rows].tolist()
            for row, logits in zip(rows, np.split(values, np.cumsum(sizes)[:-1]), strict=True):
                output[bounds[row] : bounds[row + 1]] = logits
            bar.update(len(rows))
    require_finite_logits(output, partial(_place, part, int(bar.n) - len(part)))
    return output


def window_rows(part: Features, rows: Sequence[int]) -> list[dict[str, Any]]:
    """The windows `rows` of `part` for a `Collator`."""
    bounds = part.window_tokens()
    return [
        {
            "input_ids": part.input_ids[bounds[row] : bounds[row + 1]],
            "token_type_ids": part.token_type_ids[bounds[row] : bounds[row + 1]],
            "start_position": part.start_position[row],
            "end_position": part.end_position[row],
        }
        for row in rows
    ]


def _header(tokens: int) -> dict[str, Any]:
    """The header of a .npy file: float32, shape (tokens, 2)."""
    return {"descr": "<f4", "fortran_order": False, "shape": (tokens, 2)}


def _place(part: Features, first: int, token: int) -> str:
    """The window and the line of a token of `part`, whose first window has number `first`."""
    window = int(np.searchsorted(part.window_tokens(), token, side="right")) - 1
    line = part.example[window] + 1
    return f"window {first + window}, of the question in line {line} of its split"
