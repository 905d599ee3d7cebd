"""Search for the best EM and F1 that the windows of a question offer.

If no window has a reference answer word for word, every span inside the words of a reference is
scored, and every span of up to 30 tokens. Spans with too few words to beat the best one so far are
skipped, which does not change the result.
"""

import itertools
import re
from collections.abc import Callable, Iterator, Sequence

from retune.tasks.qa.questions.examples import Example
from retune.tasks.qa.score.normalizers import NORMALIZERS
from retune.tasks.qa.score.score import Normalizer, best_of, reference_tokens
from retune.tasks.qa.windows.token_offsets import is_mark
from retune.tasks.qa.windows.windows import Ints

TokenChars = tuple[Ints, Ints]  # starts and ends of tokens, in characters

_LONGEST_SPAN = 30


class Ceiling:
    """Adds up the best scores of the questions of a split."""

    def __init__(
        self, normalizer: Normalizer, *, squad_v2: bool, longest: int | None = None
    ) -> None:
        """Set the most tokens that an answer may have; None means any number."""
        self._normalizer = normalizer
        self._squad_v2 = squad_v2
        self._longest = longest
        self._exact_match = 0.0
        self._f1 = 0.0

    def add(
        self, example: Example, windows: Callable[[], list[TokenChars]], offered: int | None
    ) -> None:
        """Add a question; `windows` gives the context tokens of its windows.

        `offered` is the number of tokens of a label that is a reference answer word for word. It
        is 0 if there is nothing to find, and None if the answer has to be searched.
        """
        exact_match, f1 = 1.0, 1.0
        if offered is None or offered > (self._longest or offered):
            search = _Search(example, self._normalizer, squad_v2=self._squad_v2)
            exact_match, f1 = search.run(windows(), self._longest)
        self._exact_match += exact_match
        self._f1 += f1

    def percent(self, questions: int) -> tuple[float, float]:
        """EM and F1 of all `questions`."""
        return 100 * self._exact_match / questions, 100 * self._f1 / questions


class _Search:
    """The best exact match and F1 of the spans of one question, each from 0 to 1."""

    def __init__(self, example: Example, normalizer: Normalizer, *, squad_v2: bool) -> None:
        self._context = example.context
        self._golds = sorted({answer.text for answer in example.answers})
        self._normalize = NORMALIZERS[normalizer]
        self._squad_v2 = squad_v2
        self._references = reference_tokens(self._golds, self._normalize, squad_v2=squad_v2)
        self._shortest = min(map(len, self._references))
        self._best = 0.0, 0.0

    def run(self, windows: list[TokenChars], longest: int | None) -> tuple[float, float]:
        """Score the likely spans first."""
        touching = list(_touching(self._places(), windows))
        for starts, ends in touching:
            if len(starts) <= (longest or len(starts)):
                self._take(starts[0], ends[-1])
        for starts, ends in touching:
            self._inside(starts, ends, longest or len(starts))
        for starts, ends in windows:
            self._inside(starts, ends, min(longest or _LONGEST_SPAN, _LONGEST_SPAN))
        return self._best

    def _places(self) -> list[tuple[int, int]]:
        return [
            (match.start(), match.end())
            for gold in self._golds
            for match in re.finditer(re.escape(gold), self._context)
        ]

    def _inside(self, starts: Ints, ends: Ints, longest: int) -> None:
        """Score the spans of up to `longest` tokens, of each start the longest first."""
        for first, start in enumerate(starts):
            for number, end in enumerate(ends[first : first + longest][::-1]):
                if self._best == (1.0, 1.0):
                    return
                words = self._take(start, end)
                # A shorter span has no more words, but for one cut in two at each of its ends.
                if words + 2 < self._needed():
                    if number == 0 and first + longest >= len(ends):
                        return  # later starts have still less
                    break

    def _needed(self) -> float:
        """The words that a better span needs: F1 is at most 2n / (n + shortest)."""
        f1 = self._best[1]
        return f1 * self._shortest / (2 - f1)

    def _take(self, start: int, end: int) -> int:
        """Score a span and return its number of words."""
        text = span_text(self._context, start, end)
        words = self._normalize(text)
        found = 1.0, 1.0
        if text not in self._golds:
            found = best_of(words, self._references, squad_v2=self._squad_v2)
        self._best = max(self._best[0], found[0]), max(self._best[1], found[1])
        return len(words)


def _touching(places: Sequence[tuple[int, int]], windows: list[TokenChars]) -> Iterator[TokenChars]:
    """Starts and ends of the tokens that touch a place, for each place and window."""
    for (low, high), (starts, ends) in itertools.product(places, windows):
        touched = (ends > low) & (starts < high)
        if touched.any():
            yield starts[touched], ends[touched]


def span_text(context: str, start: int, end: int) -> str:
    """The text of a span; as in postprocess, it does not end between a letter and its accent."""
    while end < len(context) and is_mark(context[end]):
        end += 1
    return context[start:end]
