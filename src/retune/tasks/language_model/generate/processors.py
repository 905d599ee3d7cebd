"""Score processors: they change the scores of the next token by the tokens before it.

A processor is a function of scores (R, V) and the `History` of the R rows. It changes the scores
in place, for all rows and tokens at once. A score of minus infinity forbids a token.

Checked against the logits processors of transformers
(tests/language_model/test_score_processors.py).
"""

from collections.abc import Callable, Sequence
from typing import Annotated, NamedTuple

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from retune.core.params import STRICT, Positive

FORBIDDEN = -torch.inf


class History(NamedTuple):
    """The tokens of R rows so far: prompts, padded on the left, and what came after."""

    tokens: Tensor  # (R, T)
    real: Tensor  # (R, T), false where there is padding
    generated: int  # how many of the T come after the prompt
    ends: Tensor  # the tokens that end a continuation, which may be none

    def seen(self) -> Tensor:
        """The tokens (R, T); padding is replaced by the last token of its row, which is real."""
        return torch.where(self.real, self.tokens, self.tokens[:, -1:])


Processor = Callable[[Tensor, History], None]


@dataclass(frozen=True, config=STRICT)
class RepetitionPenalty:
    """Makes every token of the row less likely (Keskar et al. 2019): above 1 it is a penalty."""

    penalty: Annotated[float, Field(gt=0.0)]

    def __call__(self, scores: Tensor, history: History) -> None:
        """Multiply scores below 0, divide those above."""
        seen = history.seen()
        old = scores.gather(1, seen)
        scores.scatter_(1, seen, torch.where(old < 0, old * self.penalty, old / self.penalty))


@dataclass(frozen=True, config=STRICT)
class WordBlock:
    """Forbids every token that is among the last `window` of the row; null means all of them."""

    window: Positive | None

    def __call__(self, scores: Tensor, history: History) -> None:
        """Forbid them."""
        begin = 0 if self.window is None else -self.window
        scores.scatter_(1, history.seen()[:, begin:], FORBIDDEN)


@dataclass(frozen=True, config=STRICT)
class NGramBlock:
    """Forbids every token that would repeat `n` tokens of the row."""

    n: Positive

    def __call__(self, scores: Tensor, history: History) -> None:
        """Forbid every token that followed the last n - 1 tokens before."""
        tokens = history.tokens
        if tokens.shape[1] < self.n:
            return
        ngrams = tokens.unfold(1, self.n, 1)  # (R, T - n + 1, n)
        begun = tokens[:, None, tokens.shape[1] - self.n + 1 :]
        repeated = (ngrams[..., :-1] == begun).all(-1) & history.real[:, : ngrams.shape[1]]
        rows, places = repeated.nonzero(as_tuple=True)
        scores[rows, ngrams[rows, places, -1]] = FORBIDDEN


@dataclass(frozen=True, config=STRICT)
class MinLength:
    """Forbids ending a continuation before it has this many `tokens`."""

    tokens: Positive

    def __call__(self, scores: Tensor, history: History) -> None:
        """Forbid the tokens that end it."""
        if history.generated < self.tokens:
            scores[:, history.ends] = FORBIDDEN


@dataclass(frozen=True, config=STRICT)
class ProcessorParams:
    """Which processors there are; null leaves one out."""

    repetition_penalty: RepetitionPenalty | None
    ngram_block: NGramBlock | None
    word_block: WordBlock | None
    min_length: MinLength | None

    def chosen(self) -> Sequence[Processor]:
        """Those that are not left out, in the order in which they are applied."""
        every = (self.repetition_penalty, self.ngram_block, self.word_block, self.min_length)
        return [processor for processor in every if processor is not None]
