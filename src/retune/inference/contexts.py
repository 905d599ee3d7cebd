"""Cut questions into windows, and remember the tokens of their contexts."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
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


class RememberingWindower(Windower):
    """A windower that tokenizes a context once, however many questions are about it.

    The contexts that were used last are remembered, up to a number of tokens. Threads may share it.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerFast", params: TokenizeParams) -> None:
        super().__init__(tokenizer, params)
        self._lock = Lock()
        self._known: OrderedDict[str, Tokens] = OrderedDict()
        self._remembered = 0  # tokens

    def context_tokens(self, texts: list[str]) -> Tokens:
        """Return the tokens of contexts with their characters."""
        with self._lock:
            found = {text: self._known.get(text) for text in texts}
            new = [text for text, tokens in found.items() if tokens is None]
            made = _apart(super().context_tokens(new)) if new else ()
            for text, its in zip(new, made, strict=True):
                found[text] = self._known[text] = its
                self._remembered += len(its.ids)
            for text in found:
                self._known.move_to_end(text)
            while self._remembered > _REMEMBERED and len(self._known) > 1:
                _, forgotten = self._known.popitem(last=False)
                self._remembered -= len(forgotten.ids)
        return _joined([tokens for text in texts if (tokens := found[text]) is not None])

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
                its = 1 + counts[example.context] // step
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
