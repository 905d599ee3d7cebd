"""Stage `predict`: start and end logits of every evaluation window, to a memory map.

`logits.npy` has shape (tokens of all windows, 2), float32, window after window in the
order of the features, padding left out; `windows.json` counts both.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from tqdm import tqdm

from retune.errors import RetuneError
from retune.params import STRICT, Positive
from retune.precision import Precision, resolved_precision
from retune.qa.batches import Batch, Collator, real_tokens, span_logits
from retune.qa.features import read_rows
from retune.storage import atomic_path, write_json

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


@dataclass(frozen=True, config=STRICT)
class PredictParams:
    """Section `qa.predict`."""

    batch_size: Positive
    precision: Precision


def predict(features: Path, model: "PreTrainedModel", logits: Path, params: PredictParams) -> str:
    """Write the logits of the validation windows in `features` to the folder `logits`."""
    from retune.checkpoints import load_tokenizer

    module: nn.Module = model
    module.to("cuda" if torch.cuda.is_available() else "cpu")
    rows = read_rows(features / "validation.arrow")
    precision = resolved_precision(params.precision)
    collator = Collator.for_model(model, load_tokenizer(features / "tokenizer"), precision)
    tokens = int(np.sum(rows["length"]))
    with atomic_path(logits) as folder:
        folder.mkdir(parents=True)
        output = np.lib.format.open_memmap(
            folder / "logits.npy", mode="w+", dtype=np.float32, shape=(tokens, 2)
        )
        predict_windows(model, rows, collator, params.batch_size, params.precision, output)
        output.flush()
        write_json(folder / "windows.json", {"windows": len(rows), "tokens": tokens})
    return f"{len(rows):,} windows, {tokens:,} tokens"


def predict_windows(
    model: nn.Module,
    rows: "Dataset",
    collator: Collator,
    batch_size: int,
    precision: Precision,
    output: NDArray[np.float32],
    on_batch: Callable[[Tensor, Tensor, Batch], None] | None = None,
) -> None:
    """Fill `output`, shape (tokens, 2), with the start and end logits of `rows`.

    Windows of similar length are taken together; where each window's logits go depends
    on its place in `rows` only. `on_batch` receives start logits (B, T), end logits
    (B, T) and the batch.

    Raises:
        RetuneError: where a logit is not finite.
    """
    ends = np.cumsum(rows["length"])
    dtype = _DTYPES[resolved_precision(precision)]
    device = next(model.parameters()).device
    model.eval()
    with torch.inference_mode(), torch.autocast(device.type, dtype, dtype != torch.float32):
        for indices in _batches_by_length(np.asarray(rows["length"]), batch_size):
            batch = on_device(collator(rows.__getitems__(indices.tolist())), device)
            start, end = span_logits(model, batch)
            real = real_tokens(batch)
            if on_batch is not None:
                on_batch(start, end, batch)
            for row, index in enumerate(indices):
                both = torch.stack([start[row][real[row]], end[row][real[row]]], dim=-1)
                values = both.float().cpu().numpy()
                if not np.isfinite(values).all():
                    raise RetuneError(
                        f"the model gives a logit that is no number at window {index}"
                    )
                output[ends[index] - len(values) : ends[index]] = values


def on_device(batch: Batch, device: torch.device) -> Batch:
    """`batch` with its tensors on `device`."""
    return {
        name: value.to(device) if isinstance(value, Tensor) else value
        for name, value in batch.items()
    }


def _batches_by_length(lengths: NDArray[np.int64], batch_size: int) -> Iterator[NDArray[np.int64]]:
    order = np.argsort(lengths, kind="stable")[::-1]  # the longest first: memory fails early
    for begin in tqdm(range(0, len(order), batch_size), desc="predict", unit=" batches"):
        yield order[begin : begin + batch_size]
