"""Beam search: the likeliest continuations among those that stay in the best K at every step.

A search ends when no running beam can overtake the K best finished ones. transformers' `generate`
does this with `early_stopping="never"`. Its other two settings end sooner: `True` when K beams are
finished, `False`, the default, when the best running beam is worse than these at its present
length. With a length penalty above 0 both may miss a better beam.

Checked against `generate` of transformers (tests/language_model/test_decoding.py).
"""

from typing import Annotated, NamedTuple

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from retune.core.errors import RetuneError
from retune.core.params import STRICT, Positive
from retune.tasks.language_model.generate.decoding import Continuation, Rules, ranked
from retune.tasks.language_model.generate.kv_cache import CachedDecoder
from retune.tasks.language_model.generate.processors import FORBIDDEN


@dataclass(frozen=True, config=STRICT)
class BeamParams:
    """How wide the search is, and what it gives.

    Args:
        beams: how many are kept at each step.
        continuations: how many of them are given for each prompt, best first.
        length_penalty: the power of its length that the sum of a beam's log-probabilities is
            divided by: 1 ranks by the mean, 0 by the sum.
    """

    beams: Positive
    continuations: Positive
    length_penalty: Annotated[float, Field(ge=-10.0, le=10.0)]

    def __post_init__(self) -> None:
        """Refuse more continuations than there are beams."""
        if self.continuations > self.beams:
            raise ValueError(
                f"{self.continuations} continuations are more than the {self.beams} beams; "
                "raise `beams`"
            )


class Beams(NamedTuple):
    """K sequences for each of B prompts, best first."""

    scores: Tensor  # (B, K), minus infinity where there is no sequence
    tokens: Tensor  # (B, K, N)
    logs: Tensor  # (B, K, N), the model's own log-probability of each token
    lengths: Tensor  # (B, K)

    @classmethod
    def none(cls, prompts: int, beams: int, length: int, device: torch.device) -> "Beams":
        """Empty places for sequences."""
        shape = (prompts, beams)
        return cls(
            torch.full(shape, FORBIDDEN, device=device),
            torch.zeros(*shape, length, dtype=torch.long, device=device),
            torch.zeros(*shape, length, device=device),
            torch.zeros(shape, dtype=torch.long, device=device),
        )

    def at(self, places: Tensor) -> "Beams":
        """The sequences at the places (B, C)."""
        wide = places[..., None].expand(-1, -1, self.tokens.shape[2])
        parts = (self.tokens.gather(1, wide), self.logs.gather(1, wide))
        return Beams(self.scores.gather(1, places), *parts, self.lengths.gather(1, places))

    def best(self, count: int) -> tuple["Beams", Tensor]:
        """The `count` best, and their places (B, `count`)."""
        places = self.scores.topk(count).indices
        return self.at(places), places

    def with_others(self, others: "Beams") -> "Beams":
        """These sequences, followed by others."""
        return Beams(*(torch.cat(pair, 1) for pair in zip(self, others, strict=True)))


def check_vocabulary(params: BeamParams, vocabulary: int, ends: int) -> None:
    """Refuse more beams than there are tokens to begin them with.

    Raises:
        RetuneError: so many beams cannot differ in their first token.
    """
    if params.beams > vocabulary - ends:
        raise RetuneError(
            f"beams: {params.beams} are more than the {vocabulary - ends} tokens of the model's "
            "vocabulary that a continuation may begin with; lower it"
        )


def beam_search(
    decoder: CachedDecoder, rules: Rules, params: BeamParams
) -> list[list[Continuation]]:
    """The best continuations of each prompt that the search finds.

    Scores are sums of log-probabilities after the processors, divided by a power of the length.

    Raises:
        RetuneError: processors leave a prompt fewer continuations than asked.
    """
    search = _Search(decoder, rules, params)
    logits = decoder.start()
    for step in range(rules.max_new_tokens):
        rows = search.advance(logits, step)
        if step + 1 == rules.max_new_tokens or not search.open.any():
            break
        logits = decoder.next(search.running.tokens[:, :, step].flatten(), rows)
    best = Beams(*(part[:, : params.continuations] for part in search.finished))
    missing = (best.scores == FORBIDDEN).any(1)
    if missing.any():
        raise rules.no_choice(int(missing.nonzero()[0]))
    flat = Beams(*(part.flatten(0, 1) for part in best))
    return ranked(flat.tokens, flat.logs, flat.lengths, flat.scores, params.continuations)


class _Search:
    """Running beams, finished beams, and the prompts whose best beams may still change."""

    def __init__(self, decoder: CachedDecoder, rules: Rules, params: BeamParams) -> None:
        self._decoder, self._rules, self._params = decoder, rules, params
        device = decoder.tokens.device
        prompts = len(decoder.tokens) // params.beams
        self.finished = Beams.none(prompts, params.beams, rules.max_new_tokens, device)
        self.running = Beams.none(prompts, params.beams, rules.max_new_tokens, device)
        self.running.scores[:, 0] = 0.0  # at first all beams are equal: one of them continues
        self.open = torch.ones(prompts, dtype=torch.bool, device=device)
        self._first_rows = torch.arange(prompts, device=device)[:, None] * params.beams
        # However many of these end, K are left to continue.
        self._kept = params.beams * (1 + len(rules.ends))

    def advance(self, logits: Tensor, step: int) -> Tensor:
        """Lengthen the beams by a token; gives the row (R) that each of them continues."""
        found, sources = self._candidates(logits, step)
        ending = torch.isin(found.tokens[:, :, step], self._rules.ends)
        if step + 1 == self._rules.max_new_tokens:
            ending.fill_(True)
        self._finish(found, ending, step + 1)
        going = found._replace(scores=found.scores.masked_fill(ending, FORBIDDEN))
        self.running, places = going.best(self._params.beams)
        self.open &= self._may_improve(step + 1)
        return (self._first_rows + sources.gather(1, places)).flatten()

    def _candidates(self, logits: Tensor, step: int) -> tuple[Beams, Tensor]:
        """The best beams one token longer, and which of the running ones each continues (B, C)."""
        own = logits.log_softmax(1)  # (R, V)
        generated = self.running.tokens[:, :, :step].flatten(0, 1)
        scores = self._rules.processed(own, self._decoder, generated)
        # A token that is not among the best of its own beam is not among the best of all.
        values, tokens = scores.topk(min(self._kept, scores.shape[1]))  # (R, C)
        totals = values + self.running.scores.view(-1, 1)
        prompts, each = len(self.running.scores), values.shape[1]
        best, places = totals.view(prompts, -1).topk(self._kept)
        sources = places // each
        found = self.running.at(sources)._replace(scores=best)
        found.tokens[:, :, step] = tokens.view(prompts, -1).gather(1, places)
        found.logs[:, :, step] = own.gather(1, tokens).view(prompts, -1).gather(1, places)
        found.lengths.fill_(step + 1)
        return found, sources

    def _finish(self, found: Beams, ending: Tensor, length: int) -> None:
        """Keep the best K finished beams; of `found`, only its first K count."""
        counts = ending & self.open[:, None]
        counts[:, self._params.beams :] = False
        scores = found.scores / length**self._params.length_penalty
        ended = found._replace(scores=scores.masked_fill(~counts, FORBIDDEN))
        self.finished, _ = self.finished.with_others(ended).best(self._params.beams)

    def _may_improve(self, length: int) -> Tensor:
        """Whether a running beam (B), now of this length, could still be among the best K.

        Its sum can only fall. If the penalty favours long beams, the greatest length is the best.
        """
        penalty = self._params.length_penalty
        longest = self._rules.max_new_tokens if penalty > 0 else length
        bounds = self.running.scores[:, 0] / longest**penalty
        better: Tensor = bounds > self.finished.scores.amin(1)
        return better
