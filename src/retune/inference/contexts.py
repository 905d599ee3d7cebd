"""Cut questions into windows, and remember the tokens of their contexts."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from retune.tasks.qa.questions.examples import Example
from retune.tasks.qa.tokenize.tokenize import Windower
from retune.tasks.qa.windows.windows import Tokens

#: Tokens that are remembered: about thirty megabytes.
_REMEMBERED = 2**21
#: Windows that are predicted together; a context of any length is one question's at least.
_TOGETHER = 1024


class RememberingWindower(Windower):
    """A windower that tokenizes a context once, however many questions are about it.

    The contexts that were used last are remembered, up to a number of tokens.
    """

    def context_tokens(self, texts: list[str]) -> Tokens:
        """Return the tokens of contexts with their characters."""
        known = self._known
        if new := [text for text in texts if text not in known]:
            known |= zip(new, _apart(super().context_tokens(new)), strict=True)
        found = [known.pop(text) for text in texts]
        known |= zip(texts, found, strict=True)  # now the last ones used
        total = sum(len(tokens.ids) for tokens in known.values())
        for text in [*known][: -len(texts)]:
            if total <= _REMEMBERED:
                break
            total -= len(known.pop(text).ids)
        return _joined(found)

    def groups(self, examples: Sequence[Example]) -> Iterator[list[Example]]:
        """Yield questions in their order, so many that their windows fit into memory together."""
        step = max(1, self.params.max_length - self.params.doc_stride)
        group, windows = list[Example](), 0
        for example in examples:
            group.append(example)
            windows += 1 + len(self.context_tokens([example.context]).ids) // step
            if windows >= _TOGETHER:
                yield group
                group, windows = [], 0
        if group:
            yield group

    def kept_of_long(self, question: str) -> str | None:
        """Return what is kept of a question that is too long; None if all of it is."""
        tokens = self._ids([question.strip()]).ids
        return self.kept_of(question) if len(tokens) > self.params.max_question_length else None

    @property
    def _known(self) -> dict[str, Tokens]:
        known: dict[str, Tokens] = self.__dict__.setdefault("_tokens_of_contexts", {})
        return known


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
