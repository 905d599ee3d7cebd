"""Stage `tokenize`: turn texts into token ids, and count those that had to be cut."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic.dataclasses import dataclass as params_dataclass
from tqdm import tqdm

from retune.core.errors import RetuneError, listed
from retune.core.files import atomic_path, write_json
from retune.core.params import STRICT, Positive
from retune.tasks.sentiment.texts.examples import LABELS, Example, read_examples
from retune.tasks.sentiment.texts.features import RowWriter, row_writer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_BATCH = 1000  # texts tokenized at a time: bounds memory, changes no output


@params_dataclass(frozen=True, config=STRICT)
class TokenizeParams:
    """Section `sentiment.tokenize`.

    Texts are cut to `max_length` tokens, special ones included.
    """

    max_length: Positive


def tokenize(
    raw: Path,
    augmented: Path,
    features: Path,
    metrics: Path,
    *,
    tokenizer: "PreTrainedTokenizerFast",
    params: TokenizeParams,
) -> str:
    """Write `features` (a folder with an Arrow file per split and the tokenizer) and their counts.

    The train split is read from `augmented`, the validation split from `raw`.

    Raises:
        RetuneError: `max_length` leaves no room or is more than the tokenizer is made for, a
            split is empty, or the tokenizer keeps nothing of a train text.
    """
    files = {"train": augmented / "train.jsonl", "validation": raw / "validation.jsonl"}
    counts = []
    with atomic_path(features) as folder:
        folder.mkdir(parents=True)
        tokenizer.save_pretrained(folder / "tokenizer")
        read = reader(tokenizer, params)  # changes how it cuts, so the saved one comes first
        for split, path in files.items():
            count = Counts(split)
            with row_writer(folder / f"{split}.arrow") as writer:
                _write_split(path, writer, read, count)
            counts.append(count)
        _require_tokens(counts[0], files["train"])
    write_json(metrics, {"sentiment": {"texts": [count.summary() for count in counts]}})
    return "; ".join(count.sentence() for count in counts)


@dataclass
class Counts:
    """Counts of the texts of a split."""

    split: str
    texts: int = 0
    tokens: int = 0
    longest: int = 0
    cut: list[str] = field(default_factory=list)  # ids
    without_tokens: list[str] = field(default_factory=list)  # ids
    labels: list[int] = field(default_factory=lambda: [0] * len(LABELS))

    def summary(self) -> dict[str, Any]:
        """The counts, for metrics."""
        return {
            "split": self.split,
            "texts": self.texts,
            **dict(zip(LABELS, self.labels, strict=True)),
            "tokens": self.tokens,
            "longest": self.longest,
            "cut": len(self.cut),
            "cut_ids": self.cut,
            "without_tokens": len(self.without_tokens),
            "ids_without_tokens": self.without_tokens,
        }

    def sentence(self) -> str:
        """The counts, for the closing line."""
        lost = f", nothing left of {listed(self.without_tokens)}" if self.without_tokens else ""
        return (
            f"{self.split}: {self.texts:,} texts of up to {self.longest} tokens, "
            f"{len(self.cut):,} of them cut{lost}"
        )


class Reader:
    """Turns texts into token ids, with one tokenizer and one maximum length."""

    def __init__(self, tokenizer: "PreTrainedTokenizerFast", max_length: int) -> None:
        self._backend = tokenizer.backend_tokenizer
        self._backend.no_padding()
        # The special tokens are added after the cut.
        self._backend.enable_truncation(max_length)
        # "[SEP]" in a text is text, and must not end it.
        self._backend.encode_special_tokens = True
        self.specials = tokenizer.num_special_tokens_to_add()

    def __call__(self, texts: list[str]) -> list[tuple[list[int], bool]]:
        """The token ids of each text, and whether it was cut."""
        encodings = self._backend.encode_batch(texts)
        return [(encoding.ids, bool(encoding.overflowing)) for encoding in encodings]


def reader(tokenizer: "PreTrainedTokenizerFast", params: TokenizeParams) -> Reader:
    """Make the reader that `params` asks for.

    Raises:
        RetuneError: `max_length` leaves no room, or is more than the tokenizer is made for.
    """
    name, length = "sentiment.tokenize.max_length", params.max_length
    specials = tokenizer.num_special_tokens_to_add()
    if length <= specials:
        raise RetuneError(
            f"{name}: {length} tokens are no more than the {specials} special ones; raise it"
        )
    if length > tokenizer.model_max_length:
        raise RetuneError(
            f"{name}: {length} is more than the {tokenizer.model_max_length} tokens that the "
            "encoder's tokenizer is made for; lower it"
        )
    return Reader(tokenizer, length)


def _write_split(path: Path, writer: RowWriter, read: Reader, count: Counts) -> None:
    examples = tqdm(read_examples(path), desc=f"tokenize {count.split}", unit=" texts")
    for batch in _batches(examples):
        rows = read([example.text for example in batch])
        writer.write([ids for ids, _ in rows], [example.label for example in batch])
        for example, (ids, cut) in zip(batch, rows, strict=True):
            count.texts += 1
            count.tokens += len(ids)
            count.longest = max(count.longest, len(ids))
            count.labels[example.label] += 1
            if cut:
                count.cut.append(example.id)
            if len(ids) == read.specials:
                count.without_tokens.append(example.id)
    if count.texts == 0:
        raise RetuneError(f"{path}: no texts; the stage that wrote it left this split empty")


def _batches(examples: Iterable[Example]) -> Iterable[list[Example]]:
    examples = iter(examples)
    return iter(lambda: list(itertools.islice(examples, _BATCH)), [])


def _require_tokens(train: Counts, path: Path) -> None:
    """Refuse training texts without tokens: their labels would have no input."""
    if train.without_tokens:
        raise RetuneError(
            f"{path}: the tokenizer keeps nothing of the text of {listed(train.without_tokens)}, "
            "such as control characters only; take these texts out of the data"
        )
