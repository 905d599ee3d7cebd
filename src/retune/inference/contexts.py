"""Cut questions into windows, and remember the tokens of their contexts."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from itertools import pairwise
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from retune.core.errors import RetuneError
from retune.tasks.qa.questions.examples import Example
from retune.tasks.qa.tokenize.tokenize import TokenizeParams, Windower, batches
from retune.tasks.qa.windows.windows import Tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

#: Tokens that are remembered: about thirty megabytes.
_REMEMBERED = 2**21
#: Windows after which no further question is predicted with the others.
_TOGETHER = 1024


class TooManyWindowsError(RetuneError):
    """A context is too long, or its windows overlap too much."""


class _Memory:
    """Tokens of the contexts that were used last, up to a number of tokens; for all threads."""

    def __init__(self) -> None:
        self.known: OrderedDict[str, Tokens] = OrderedDict()
        self._lock = Lock()
        self._size = 0

    def get(self, texts: list[str]) -> dict[str, Tokens]:
        """Return the tokens of those texts that are known."""
        with self._lock:
            found = {text: self.known[text] for text in texts if text in self.known}
            for text in found:
                self.known.move_to_end(text)
        return found

    def add(self, made: Mapping[str, Tokens]) -> None:
        """Remember the tokens of texts, and forget what was not used for long."""
        with self._lock:
            for text, tokens in made.items():
                if text not in self.known:
                    self.known[text] = tokens
                    self._size += len(tokens.ids)
            while self._size > _REMEMBERED and len(self.known) > 1:
                _, forgotten = self.known.popitem(last=False)
                self._size -= len(forgotten.ids)


class RememberingWindower(Windower):
    """A windower that tokenizes a context once, however many questions are about it.

    Threads may share it.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerFast", params: TokenizeParams) -> None:
        super().__init__(tokenizer, params)
        self._memory = _Memory()
        self._positions: int = tokenizer.model_max_length

    def resized(self, params: TokenizeParams) -> "RememberingWindower":
        """Return a windower with other lengths, which shares tokenizer and memory.

        Raises:
            RetuneError: a window is longer than the tokenizer is made for.
        """
        if params.max_length > self._positions:
            raise RetuneError(
                f"max_seq_len {params.max_length} is more than the {self._positions} tokens that "
                "the model reads; lower it"
            )
        other = copy(self)
        other.params = params
        other._lengths = self._lengths._replace(
            window=params.max_length,
            question=params.max_question_length,
            overlap=params.doc_stride,
        )
        return other

    def context_tokens(self, texts: list[str]) -> Tokens:
        """Return the tokens of contexts with their characters."""
        found = self._memory.get(texts)
        if new := [text for text in dict.fromkeys(texts) if text not in found]:
            made = dict(zip(new, _apart(super().context_tokens(new)), strict=True))
            self._memory.add(made)
            found |= made
        return _joined([found[text] for text in texts])

    def groups(
        self, examples: Sequence[Example], most: int | None = None
    ) -> Iterator[list[Example]]:
        """Yield questions in their order, so many that their windows fit into memory together.

        Raises:
            TooManyWindowsError: a question has more than `most` windows.
        """
        room = self.params.max_length - self.params.max_question_length - self.template.specials
        step = max(1, room - self.params.doc_stride)
        for batch in batches(examples):
            contexts = [*dict.fromkeys(example.context for example in batch)]
            counts = dict(zip(contexts, self.context_tokens(contexts).counts.tolist(), strict=True))
            group, windows = list[Example](), 0
            for example in batch:
                its = 1 + counts[example.context] // step if self.params.windows == "all" else 1
                if most is not None and its > most:
                    raise TooManyWindowsError(
                        f"the context has about {its:,} windows, at most {most:,} are allowed; "
                        "shorten it, or lower doc_stride"
                    )
                group.append(example)
                windows += its
                if windows >= _TOGETHER:
                    yield group
                    group, windows = [], 0
            if group:
                yield group

    def kept_of_long(self, question: str) -> str | None:
        """Return what is kept of a question that is too long; None if all of it is."""
        tokens = self._ids([question.strip()]).ids
        return self.kept_of(question) if len(tokens) > self.params.max_question_length else None


def _apart(tokens: Tokens) -> Iterator[Tokens]:
    """Yield the tokens of each text alone."""
    for low, high in pairwise(tokens.bounds.tolist()):
        part = slice(low, high)
        bounds = np.array([0, high - low], np.int64)
        yield Tokens(tokens.ids[part], tokens.start[part], tokens.end[part], bounds)


def _joined(parts: Sequence[Tokens]) -> Tokens:
    """Return the tokens of several texts, one behind the other."""
    bounds = np.cumsum([0, *(len(part.ids) for part in parts)], dtype=np.int64)
    ids, start, end = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("ids", "start", "end")
    )
    return Tokens(ids, start, end, bounds)
