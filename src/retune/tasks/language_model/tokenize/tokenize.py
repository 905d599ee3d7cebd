"""Stage `tokenize`: pack texts into blocks of tokens, and prepare the evaluation.

Whole texts and pairs of sentences come from the validation split, so that a model is not evaluated
on texts that it has memorized.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass
from tqdm import tqdm

from retune.core.errors import RetuneError
from retune.core.files import atomic_path, write_json, write_json_lines
from retune.core.params import STRICT, Positive
from retune.core.splits import SPLITS
from retune.models.pretrained_files import DECODER_TOKENS, PretrainedParams, load_tokenizer, resolve
from retune.tasks.language_model.texts.features import write_blocks
from retune.tasks.language_model.texts.texts import Text, read_texts
from retune.tasks.language_model.tokenize.sentences import Cut, sentence_pairs
from retune.tasks.language_model.tokenize.stories import Story, pack_tokens
from retune.tasks.language_model.tokenize.vocabulary import learn_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_BATCH = 100  # texts tokenized at a time: moves the bar, changes no output


@dataclass(frozen=True, config=STRICT)
class TokenizeParams:
    """Section `language_model.tokenize`.

    Attributes:
        tokenizer: `learned` from the training texts, or `checkpoint`, the pretrained model's.
        vocabulary_size: tokens of a learned tokenizer.
        min_frequency: how often a pair must occur to become a token of a learned tokenizer.
        block_size: tokens of a block. Blocks are cut from the concatenated texts.
        end_of_text: whether the end-of-text token follows each text.
        train_blocks: how many blocks are kept to train on; null means all.
        pairs: how validation texts are split into sentences.
    """

    tokenizer: Literal["learned", "checkpoint"]
    vocabulary_size: Positive
    min_frequency: Positive
    block_size: Annotated[int, Field(ge=2)]
    end_of_text: bool
    train_blocks: Positive | None
    pairs: Cut


def tokenize(
    raw: Path,
    features: Path,
    metrics: Path,
    *,
    params: TokenizeParams,
    pretrained: PretrainedParams,
) -> str:
    """Write the folder `features`, and its counts to `metrics`.

    The folder has the tokenizer, the blocks of both splits (train.arrow, validation.arrow), and the
    tokens (validation.jsonl) and first two sentences (pairs.jsonl) of validation texts.

    Raises:
        RetuneError: a split is empty or makes no block, no text has two sentences, or there is no
            such tokenizer.
    """
    texts = {split: _texts(raw / f"{split}.jsonl") for split in SPLITS}
    with atomic_path(features) as folder:
        folder.mkdir(parents=True)
        tokenizer = _tokenizer(params, pretrained, texts["train"])
        tokenizer.save_pretrained(folder / "tokenizer")
        encoder = Encoder(tokenizer)  # changes how it cuts, so the saved one comes first
        tokens = {split: encoder(texts[split], f"tokenize {split}") for split in SPLITS}
        counts = []
        for split in SPLITS:
            limit = params.train_blocks if split == "train" else None
            blocks, count = _packed(tokens[split], encoder.end_of_text, params, split, limit)
            write_blocks(folder / f"{split}.arrow", blocks)
            counts.append(count)
        rows = zip(texts["validation"], tokens["validation"], strict=True)
        write_json_lines(
            folder / "validation.jsonl", ({"id": text.id, "tokens": ids} for text, ids in rows)
        )
        pairs = _pairs(texts["validation"], encoder, params.pairs)
        write_json_lines(folder / "pairs.jsonl", pairs.rows)
    vocabulary = {"size": len(tokenizer), "tokenizer": params.tokenizer}
    entry = {"splits": counts, "pairs": [pairs.counts()], "vocabulary": [vocabulary]}
    write_json(metrics, {"language_model": {"blocks": entry}})
    return _closing_line(counts, pairs, len(tokenizer))


class Encoder:
    """Turns texts into tokens without special ones; "<|endoftext|>" in a text is text."""

    def __init__(self, tokenizer: "PreTrainedTokenizerFast") -> None:
        self.end_of_text = int(tokenizer.eos_token_id)
        self._backend = tokenizer.backend_tokenizer
        self._backend.no_truncation()
        self._backend.no_padding()
        self._backend.encode_special_tokens = True

    def __call__(self, texts: Sequence[Text], what: str) -> list[list[int]]:
        """The tokens of each text; `what` is the title of the progress bar."""
        found: list[list[int]] = []
        with tqdm(total=len(texts), desc=what, unit=" texts") as bar:
            for begin in range(0, len(texts), _BATCH):
                part = [text.text for text in texts[begin : begin + _BATCH]]
                found += self.encoded(part)
                bar.update(len(part))
        return found

    def encoded(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each of `texts`."""
        encodings = self._backend.encode_batch(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in encodings]


class PairRows(NamedTuple):
    """The pairs in their written form, and the ids of texts without a pair."""

    rows: list[dict[str, Any]]
    skipped: list[str]

    def counts(self) -> dict[str, Any]:
        """Their counts, for the metrics."""
        return {
            "pairs": len(self.rows),
            "prompt_tokens": sum(len(row["prompt_tokens"]) for row in self.rows),
            "continuation_tokens": sum(len(row["continuation_tokens"]) for row in self.rows),
            "longest": max(
                len(row["prompt_tokens"]) + len(row["continuation_tokens"]) for row in self.rows
            ),
            "skipped": self.skipped,
        }


def _texts(path: Path) -> list[Text]:
    texts = list(read_texts(path))
    if not texts:
        raise RetuneError(f"{path}: no texts; the stage that wrote it left this split empty")
    return texts


def _tokenizer(
    params: TokenizeParams, pretrained: PretrainedParams, texts: Sequence[Text]
) -> "PreTrainedTokenizerFast":
    if params.tokenizer == "checkpoint":
        folder = resolve(pretrained, "language_model.checkpoint")
        return load_tokenizer(folder, DECODER_TOKENS)
    every: Iterator[str] = (text.text for text in texts)
    return learn_tokenizer(every, params.vocabulary_size, params.min_frequency)


def _packed(
    tokens: Sequence[Sequence[int]], end: int, params: TokenizeParams, split: str, limit: int | None
) -> tuple[NDArray[np.int64], dict[str, Any]]:
    """The blocks (N, T) of a split, at most `limit`, and their counts."""
    try:
        blocks = pack_tokens(tokens, params.block_size, end if params.end_of_text else None)
    except RetuneError as error:
        raise RetuneError(f"{split}: language_model.tokenize.{error}") from None
    kept = blocks.ids[:limit]
    return kept, {
        "split": split,
        "texts": len(tokens),
        "tokens": sum(map(len, tokens)),
        "blocks": len(kept),
        "block_tokens": int(kept.size),
        "blocks_left_out": len(blocks.ids) - len(kept),
        "tokens_left_over": blocks.remainder,
    }


def _pairs(texts: Sequence[Text], encoder: Encoder, cut: Cut) -> PairRows:
    """The first two sentences of each text; the second's tokens begin with its space, if any."""
    rows, skipped = [], []
    for text in texts:
        pairs = sentence_pairs([Story(text.id, text.text)], cut).pairs
        if not pairs:
            skipped.append(text.id)
            continue
        (pair,) = pairs
        between = "" if f"{pair.first}{pair.second}" in text.text else " "  # as in Chinese
        prompt, continuation = encoder.encoded([pair.first, f"{between}{pair.second}"])
        rows.append(
            {
                "id": text.id,
                "prompt": pair.first,
                "continuation": pair.second,
                "prompt_tokens": prompt,
                "continuation_tokens": continuation,
            }
        )
    if not rows:
        raise RetuneError(
            f"language_model.tokenize.pairs: none of the {len(texts)} validation texts has two "
            f"sentences by the rule {cut}; choose the other rule, or other texts"
        )
    return PairRows(rows, skipped)


def _closing_line(counts: list[dict[str, Any]], pairs: PairRows, vocabulary: int) -> str:
    parts = [
        f"{count['split']} {count['blocks']:,} blocks ({count['tokens_left_over']:,} tokens left "
        f"over, {count['blocks_left_out']:,} blocks left out)"
        for count in counts
    ]
    skipped = f", {len(pairs.skipped):,} texts skipped" if pairs.skipped else ""
    parts += [f"{len(pairs.rows):,} pairs{skipped}", f"{vocabulary:,} tokens in the vocabulary"]
    return "; ".join(parts)
