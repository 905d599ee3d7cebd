"""Windows of different lengths to tensors of one shape."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from retune.models.batches import LENGTH_STEP, Batch, padded_length
from retune.models.positions import first_position, max_positions
from retune.tasks.qa.predict.attention import Packing
from retune.tasks.qa.predict.packing import packed_positions, unpacked, use_packing
from retune.tasks.qa.predict.reader import accepts_token_types

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

#: The keys of a batch for the answers' first and last tokens.
ANSWER = ("start_position", "end_position")


@dataclass(frozen=True)
class Collator:
    """Makes a batch of windows: a padded rectangle, or one packed row.

    A rectangle is padded to the longest window, rounded up, on the tokenizer's side, and never
    beyond `max_length`, the positions that the model has. A packed row only pads each window to a
    multiple of `length_step`.
    """

    pad_token_id: int
    pad_left: bool
    token_types: bool
    max_length: int | None = None
    packed: bool = False
    first_position: int = 0
    length_step: int = LENGTH_STEP

    @classmethod
    def for_model(
        cls, model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerFast", precision: str
    ) -> Self:
        """The collator for `model`'s inputs and `tokenizer`'s padding.

        On a CPU, windows are packed if the model can read them packed. In float32 they then keep
        their lengths, because only the kernels of shorter formats plan for each shape.
        """
        packed = model.device.type == "cpu" and use_packing(model)
        return cls(
            pad_token_id=int(tokenizer.pad_token_id),
            pad_left=tokenizer.padding_side == "left",
            token_types=accepts_token_types(model),
            max_length=max_positions(model),
            packed=packed,
            first_position=first_position(model),
            length_step=1 if packed and precision == "fp32" else LENGTH_STEP,
        )

    def __call__(self, windows: Sequence[Mapping[str, Any]]) -> Batch:
        """Return the inputs of the model, integers, and the answers' positions, shape (B,).

        A rectangle has `input_ids`, `attention_mask` (1 is a real token) and `token_type_ids`,
        shape (B, T). A packed row has `input_ids`, `position_ids` and `token_type_ids`, shape
        (1, N), and the `packing`.
        """
        make = self._row if self.packed else self._rectangle
        inputs, begins = make(windows)
        if not self.token_types:
            del inputs["token_type_ids"]
        answers = {
            name: torch.tensor([int(window[name]) for window in windows]) + begins
            for name in ANSWER
        }
        return inputs | answers

    def _row(self, windows: Sequence[Mapping[str, Any]]) -> tuple[Batch, Tensor]:
        lengths = [len(window["input_ids"]) for window in windows]
        packing = Packing(tuple(lengths), tuple(self._rounded(length) for length in lengths))
        fills = {"input_ids": self.pad_token_id, "token_type_ids": 0}
        rows = {name: np.full(sum(packing.sizes), fill, np.int64) for name, fill in fills.items()}
        for window, (place, length) in zip(windows, packing.spans(), strict=True):
            for name, row in rows.items():
                row[place.start : place.start + length] = window[name]
        batch: Batch = {name: torch.from_numpy(row)[None] for name, row in rows.items()}
        batch |= {"position_ids": packed_positions(packing, self.first_position)}
        return batch | {"packing": packing}, torch.zeros(len(windows), dtype=torch.int64)

    def _rectangle(self, windows: Sequence[Mapping[str, Any]]) -> tuple[Batch, Tensor]:
        lengths = [len(window["input_ids"]) for window in windows]
        shape = len(windows), self._rounded(max(lengths))
        input_ids = np.full(shape, self.pad_token_id, np.int64)
        attention_mask, token_type_ids = np.zeros((2, *shape), np.int64)
        begins = [shape[1] - length if self.pad_left else 0 for length in lengths]
        for row, (window, begin, length) in enumerate(zip(windows, begins, lengths, strict=True)):
            real = slice(begin, begin + length)
            input_ids[row, real] = window["input_ids"]
            attention_mask[row, real] = 1
            token_type_ids[row, real] = window["token_type_ids"]
        arrays = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "token_type_ids": token_type_ids,
        }
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        return tensors, torch.tensor(begins)

    def _rounded(self, length: int) -> int:
        return padded_length(length, self.max_length, self.length_step)


def span_logits(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    """Start and end logits, each of shape (B, T), in float32.

    Padding, where no span can begin or end, has the lowest finite value.
    """
    names = ("input_ids", "attention_mask", "token_type_ids", "position_ids", "packing")
    output: Any = model(**{name: batch[name] for name in names if name in batch})
    start, end = output.start_logits.float(), output.end_logits.float()
    if "packing" in batch:
        start, end = unpacked(start, batch["packing"]), unpacked(end, batch["packing"])
    padding = ~real_tokens(batch)
    lowest = torch.finfo(start.dtype).min
    return start.masked_fill(padding, lowest), end.masked_fill(padding, lowest)


def real_tokens(batch: Batch) -> Tensor:
    """Mask (B, T) of the logits of `span_logits` that belong to real tokens."""
    if "packing" not in batch:
        return batch["attention_mask"].bool()  # type: ignore[no-any-return]
    lengths = torch.tensor(batch["packing"].lengths)
    return torch.arange(int(lengths.max())) < lengths[:, None]
