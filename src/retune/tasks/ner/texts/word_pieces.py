"""Sentences of words as a model reads them: the label of a word is at its first piece.

A sentence that is too long is cut between words. A word that the tokenizer drops (such as a control
character) is read as the unknown token, so that every word has a place for its label.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from retune.core.errors import RetuneError, excerpt
from retune.models.batches import Batch, padded_length
from retune.models.losses import NO_LABEL
from retune.tasks.ner.texts.conll import Sentence

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast


class Part(NamedTuple):
    """A sentence, or a run of its words: T pieces with the special tokens, W words."""

    sentence: int  # its number among all
    input_ids: list[int]  # (T,)
    firsts: list[int]  # (W,) where in input_ids a word begins
    labels: list[int]  # (W,)


@dataclass
class WordReader:
    """Makes parts of sentences, and counts the unusual cases.

    Attributes:
        parts: more than the sentences, where some are long.
        cut_sentences: how many were cut.
        shortened_words: words longer than a part; their first pieces are kept.
        without_pieces: the places of words that the tokenizer drops.
    """

    tokenizer: "PreTrainedTokenizerFast"
    max_length: int
    labels: Mapping[str, int]
    parts: int = 0
    cut_sentences: int = 0
    shortened_words: int = 0
    without_pieces: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        backend: Tokenizer = self.tokenizer.backend_tokenizer
        backend.no_truncation()
        backend.no_padding()
        # "[SEP]" as a word is text, and must not end the sentence.
        backend.encode_special_tokens = True
        self._backend = backend
        self._before, self._after = special_tokens(self.tokenizer)
        self._room = self.max_length - len(self._before) - len(self._after)
        if self._room < 1:
            raise RetuneError(
                f"adapters.entities.max_length: {self.max_length} tokens leave no room beside "
                "the special ones; raise it"
            )

    def read(self, sentences: Sequence[Sentence]) -> list[Part]:
        """The parts of all sentences, in their order."""
        # The space tells tokenizers of bytes that a word is not the end of the one before.
        words = [
            [token if number == 0 else f" {token}" for number, token in enumerate(sentence.tokens)]
            for sentence in sentences
        ]
        encodings = self._backend.encode_batch(
            words, is_pretokenized=True, add_special_tokens=False
        )
        parts = []
        for number, (sentence, encoding) in enumerate(zip(sentences, encodings, strict=True)):
            pieces: list[list[int]] = [[] for _ in sentence.tokens]
            for piece, word in zip(encoding.ids, encoding.word_ids, strict=True):
                pieces[word or 0].append(piece)  # None, which special tokens have, is none here
            self._fill(sentence, pieces)
            made = list(self._cut(number, pieces, [self.labels[tag] for tag in sentence.tags]))
            self.cut_sentences += len(made) > 1
            parts += made
        self.parts += len(parts)
        return parts

    def summary(self) -> dict[str, Any]:
        """The counts, for metrics."""
        return {
            "parts": self.parts,
            "cut_sentences": self.cut_sentences,
            "shortened_words": self.shortened_words,
            "words_without_pieces": len(self.without_pieces),
            "places_without_pieces": self.without_pieces,
        }

    def _fill(self, sentence: Sentence, pieces: list[list[int]]) -> None:
        """Put the unknown token where a word has no piece."""
        unknown = self.tokenizer.unk_token_id
        for number, word in enumerate(pieces):
            if word:
                continue
            if unknown is None:
                raise RetuneError(
                    f"{sentence.place(number)}: the tokenizer keeps nothing of the word "
                    f"{excerpt(sentence.tokens[number])} and has no token for unknown words; "
                    "remove the word from the data"
                )
            word.append(int(unknown))
            self.without_pieces.append(
                f"{sentence.place(number)}: {excerpt(sentence.tokens[number])}"
            )

    def _cut(self, number: int, pieces: list[list[int]], labels: list[int]) -> Iterator[Part]:
        begin, size = 0, 0
        for place, word in enumerate(pieces):
            if len(word) > self._room:
                self.shortened_words += 1
                del word[self._room :]
            if size + len(word) > self._room:
                yield self._part(number, pieces[begin:place], labels[begin:place])
                begin, size = place, 0
            size += len(word)
        yield self._part(number, pieces[begin:], labels[begin:])

    def _part(self, number: int, pieces: Sequence[list[int]], labels: list[int]) -> Part:
        input_ids, firsts = list(self._before), []
        for word in pieces:
            firsts.append(len(input_ids))
            input_ids += word
        return Part(number, [*input_ids, *self._after], firsts, labels)


def special_tokens(tokenizer: "PreTrainedTokenizerFast") -> tuple[list[int], list[int]]:
    """The special tokens before and after a text."""
    encoding = tokenizer.backend_tokenizer.encode("a")
    text = [place for place, part in enumerate(encoding.sequence_ids) if part is not None]
    return encoding.ids[: text[0]], encoding.ids[text[-1] + 1 :]


def rectangle(parts: Sequence[Part], pad_token_id: int, max_length: int) -> Batch:
    """A batch (B, T) of parts: `input_ids`, `attention_mask` and `labels`.

    Of no part, one of a single token without a label.
    """
    parts = parts or [Part(0, [pad_token_id], [], [])]
    longest = max(len(part.input_ids) for part in parts)
    shape = len(parts), padded_length(longest, max(longest, max_length))
    input_ids, labels = torch.full(shape, pad_token_id), torch.full(shape, NO_LABEL)
    mask = torch.zeros(shape, dtype=torch.int64)
    for row, part in enumerate(parts):
        length = len(part.input_ids)
        input_ids[row, :length] = torch.tensor(part.input_ids)
        mask[row, :length] = 1
        labels[row, part.firsts] = torch.tensor(part.labels, dtype=torch.int64)
    return {"input_ids": input_ids, "attention_mask": mask, "labels": labels}
