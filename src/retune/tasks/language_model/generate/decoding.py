"""Continue prompts token by token, with the most likely token each time or with a sampled one.

Checked against `generate` and the logits warpers of transformers
(tests/language_model/test_decoding.py).
"""

import math
from collections.abc import Callable, Sequence
from typing import Annotated, NamedTuple

import numpy as np
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from retune.core.errors import RetuneError
from retune.core.params import STRICT, Positive
from retune.tasks.language_model.generate.kv_cache import CachedDecoder
from retune.tasks.language_model.generate.processors import FORBIDDEN, History, Processor
from retune.tasks.language_model.texts.prompts import Tokens


class Continuation(NamedTuple):
    """What follows a prompt; the last token is the one that ends it, if it was not cut."""

    tokens: list[int]
    log_probabilities: list[float]  # of each token, as the model itself gives it
    score: float  # by which the continuations of a prompt are ranked

    @property
    def probabilities(self) -> list[float]:
        """The model's probability of each token."""
        return [math.exp(log) for log in self.log_probabilities]

    @property
    def log_probability(self) -> float:
        """That of the whole continuation."""
        return sum(self.log_probabilities)

    @property
    def mean_log_probability(self) -> float:
        """The model's log-probability of a token."""
        return self.log_probability / len(self.tokens)


class Rules(NamedTuple):
    """Settings that greedy decoding, sampling and beam search share."""

    prompts: Sequence[int]  # the numbers of those in the batch, for messages
    max_new_tokens: int
    ends: Tensor  # the tokens that end a continuation, which may be none
    processors: Sequence[Processor]

    def processed(self, scores: Tensor, decoder: CachedDecoder, generated: Tensor) -> Tensor:
        """Apply the processors to the scores (R, V) of rows that have `generated` (R, N) tokens."""
        if not self.processors:
            return scores
        scores = scores.clone()
        after = torch.ones_like(generated, dtype=torch.bool)
        tokens = torch.cat([decoder.tokens, generated], 1)
        real = torch.cat([decoder.real, after], 1)
        history = History(tokens, real, generated.shape[1], self.ends)
        for processor in self.processors:
            processor(scores, history)
        return scores

    def no_choice(self, place: int) -> RetuneError:
        """Return the error for a prompt, by its place in the batch, that no token can continue."""
        return RetuneError(
            f"the score processors forbid every token that could follow prompt "
            f"{self.prompts[place]}; loosen them (word_block.window, ngram_block.n), ask for fewer "
            "continuations, or lower max_new_tokens"
        )


@dataclass(frozen=True, config=STRICT)
class SamplingParams:
    """How tokens are sampled.

    Args:
        temperature: by which logits are divided.
        top_k: only so many of the most likely tokens may be drawn; null means all.
        top_p: of these, only the most likely ones that together have this probability
            (Holtzman et al. 2020); null means all.
        continuations: how many are drawn for each prompt.
    """

    temperature: Annotated[float, Field(ge=1e-3)]  # below that is greedy decoding
    top_k: Positive | None
    top_p: Annotated[float, Field(gt=0.0, le=1.0)] | None
    continuations: Positive


class Candidates(NamedTuple):
    """The tokens that may be sampled in each of R rows, the most likely one first."""

    tokens: Tensor  # (R, C)
    probabilities: Tensor  # (R, C)


def candidates(scores: Tensor, params: SamplingParams) -> Candidates:
    """Filter the scores (R, V) by temperature, then by top k, then by top p."""
    count = scores.shape[1]
    if params.top_k is not None:
        count = min(params.top_k, count)
    if count == scores.shape[1]:
        values, tokens = scores.sort(stable=True, dim=1, descending=True)
    else:
        values, tokens = scores.topk(count)
    probabilities = (values / params.temperature).softmax(1)
    if params.top_p is not None and params.top_p < 1:
        before = probabilities.cumsum(1) - probabilities
        probabilities = probabilities.masked_fill(before >= params.top_p, 0.0)
        probabilities = probabilities / probabilities.sum(1, keepdim=True)
    return Candidates(tokens, probabilities)


def greedy(decoder: CachedDecoder, rules: Rules) -> list[list[Continuation]]:
    """Continue each prompt with the most likely token each time."""
    return _extended(decoder, rules, lambda scores: scores.argmax(1))


def sample(
    decoder: CachedDecoder, rules: Rules, params: SamplingParams, draws: Tensor
) -> list[list[Continuation]]:
    """Sample continuations by `draws` (R, N): one for each row of a prompt, best first."""
    steps = iter(draws.to(decoder.tokens.device).unbind(1))
    return _extended(decoder, rules, lambda scores: drawn(candidates(scores, params), next(steps)))


def draws_of(prompts: Sequence[Tokens], copies: int, steps: int, seed: int) -> Tensor:
    """Return random numbers from 0 to below 1 for R = B x `copies` rows and N `steps`, (R, N).

    A row's numbers depend only on its prompt, its place among the prompt's copies, and `seed`. So
    a text does not change with the other prompts of a batch, their number or their order.
    """
    rows = [
        np.random.default_rng([seed, copy, len(prompt), *prompt]).random(steps, np.float32)
        for prompt in prompts
        for copy in range(copies)
    ]
    return torch.from_numpy(np.stack(rows))


def drawn(found: Candidates, draws: Tensor) -> Tensor:
    """Return a token (R) of each row by inverting the distribution function at `draws` (R).

    The candidates are taken in the order of their ids. Their order by probability may
    depend on rounding, and rounding on the batch.
    """
    tokens, order = found.tokens.sort(1)
    # Exact in float64: a draw, of 24 bits and below 1, is never at the end.
    function = found.probabilities.gather(1, order).double().cumsum(1)
    places = torch.searchsorted(function, draws[:, None] * function[:, -1:], right=True)
    return tokens.gather(1, places)[:, 0]


def _extended(
    decoder: CachedDecoder, rules: Rules, choose: Callable[[Tensor], Tensor]
) -> list[list[Continuation]]:
    """Continue every row by itself; `choose` picks tokens (R) by scores (R, V), which are logits.

    Their continuations are ranked by the mean log-probability of a token.
    """
    rows = len(decoder.tokens)
    tokens = decoder.tokens.new_zeros(rows, rules.max_new_tokens)
    logs = torch.zeros(tokens.shape, device=tokens.device)
    lengths = torch.full((rows,), rules.max_new_tokens, device=tokens.device)
    logits = decoder.start()
    for step in range(rules.max_new_tokens):
        scores = rules.processed(logits, decoder, tokens[:, :step])
        running = lengths > step
        if rules.processors:
            stuck = running & (scores.amax(1) == FORBIDDEN)
            if stuck.any():
                raise rules.no_choice(int(stuck.nonzero()[0]) // decoder.copies)
            scores = torch.where(
                running[:, None], scores, logits
            )  # a row that has ended may have no allowed token
        chosen = choose(scores)
        tokens[:, step] = chosen
        logs[:, step] = logits.log_softmax(1).gather(1, chosen[:, None])[:, 0]
        lengths[running & torch.isin(chosen, rules.ends)] = step + 1
        if step + 1 == rules.max_new_tokens or not (lengths > step + 1).any():
            break
        logits = decoder.next(chosen)
    within = torch.arange(rules.max_new_tokens, device=tokens.device) < lengths[:, None]
    means = logs.where(within, 0.0).sum(1) / lengths
    return ranked(tokens, logs, lengths, means, decoder.copies)


def ranked(
    tokens: Tensor, logs: Tensor, lengths: Tensor, scores: Tensor, copies: int
) -> list[list[Continuation]]:
    """The continuations of each prompt, best first, out of R rows of tokens (R, N)."""
    every = [
        Continuation(some[:length], row[:length], score)
        for some, row, length, score in zip(
            tokens.tolist(), logs.tolist(), lengths.tolist(), scores.tolist(), strict=True
        )
    ]
    groups = (every[first : first + copies] for first in range(0, len(every), copies))
    return [sorted(group, key=lambda each: -each.score) for group in groups]
