"""Texts packed into blocks of equal length, and the masking of their tokens.

The masks of a block depend on the seed, the epoch and the block's number alone, not on the number
of processes nor on where a training was interrupted.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import DataCollatorForLanguageModeling

from retune.core.blocks import Blocks
from retune.core.errors import RetuneError
from retune.core.user_files import read_lines
from retune.models.losses import NO_LABEL
from retune.tasks.ner.texts.word_pieces import special_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

#: The epoch of the masks of every evaluation.
EVALUATION = 2**32 - 1


def pack(texts: Iterable[str], tokenizer: "PreTrainedTokenizerFast", size: int) -> Blocks:
    """Pack texts into blocks of `size` tokens, with SEP between texts.

    Each block begins and ends with the special tokens of a text.

    Raises:
        RetuneError: the blocks or the texts are too short.
    """
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = True  # "[MASK]" in a text is text
    before, after = special_tokens(tokenizer)
    room = size - len(before) - len(after)
    if room < 1:
        raise RetuneError(
            f"adapters.language.block_size: {size} tokens leave no room beside the special "
            "ones; raise it"
        )
    stream: list[int] = []
    for encoding in backend.encode_batch(list(texts), add_special_tokens=False):
        between = [int(tokenizer.sep_token_id)] if stream and encoding.ids else []
        stream += between + encoding.ids
    count = len(stream) // room
    if count == 0:
        raise RetuneError(
            f"adapters.language.block_size: {len(stream)} tokens of text do not fill a block of "
            f"{size}; lower it, or add text"
        )
    inner = np.array(stream[: count * room], np.int64).reshape(count, room)
    begins, ends = (np.tile(np.array(part, np.int64), (count, 1)) for part in (before, after))
    return Blocks(np.concatenate([begins, inner, ends], axis=1), len(stream) - count * room)


def read_texts(path: Path) -> list[str]:
    """The lines of a plain text file that are not blank.

    Raises:
        RetuneError: the file is missing, not UTF-8, or has no text.
    """
    lines = read_lines(path, "adapters.language.files names it")
    texts = [line for line in map(str.strip, lines) if line]
    if not texts:
        raise RetuneError(f"{path}: has no text; remove it from adapters.language.files")
    return texts


class Masker:
    """Masks tokens of blocks as BERT does (Devlin et al. 2019, section 3.1).

    The share `masked` of all tokens is to be predicted; 80 % of them become the mask token and
    10 % any token.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerFast", masked: float, seed: int) -> None:
        if tokenizer.mask_token is None:
            raise RetuneError(
                "qa.checkpoint.name: its tokenizer has no mask token, which training a "
                "language adapter needs; choose an encoder that was trained with one"
            )
        self._collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=masked)
        self._seed = seed
        self._special = torch.tensor(sorted(set(tokenizer.all_special_ids)))

    def mask(
        self, ids: NDArray[np.int64], epoch: int, numbers: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """Return the inputs (B, T) for the blocks `ids`, and their labels.

        Args:
            ids: (B, T).
            epoch: from 0, or `EVALUATION`.
            numbers: of the blocks among all.
        """
        pairs = []
        for row, number in zip(torch.from_numpy(ids.copy()), numbers, strict=True):
            state = np.random.SeedSequence([self._seed, epoch, number]).generate_state(1, np.uint64)
            self._collator.generator = torch.Generator().manual_seed(int(state[0]) % 2**63)
            special = torch.isin(row, self._special)
            pairs.append(self._collator.torch_mask_tokens(row[None], special[None]))
        inputs, labels = (torch.cat(parts) for parts in zip(*pairs, strict=True))
        return inputs, labels


def of_no_block(tokenizer: "PreTrainedTokenizerFast") -> tuple[Tensor, Tensor]:
    """Tokens and labels (1, 1) that count for nothing."""
    return torch.tensor([[int(tokenizer.pad_token_id)]]), torch.tensor([[NO_LABEL]])
