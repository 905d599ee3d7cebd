"""Answer the two questions of notebook N4 over all validation pairs.

Why is a model more certain of later tokens? The curve by position compares searched continuations
with the references, whose tokens the same model predicts one by one. It separates tokens that only
repeat earlier n-grams. Why does a larger beam not always win? A search may drop the best beginning
for others that look better at first; the curve by beam size shows in how many pairs.
"""

import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from retune.tasks.language_model.generate.decoding import Continuation
from retune.tasks.language_model.texts.prompts import Tokens


class TokenSeen(NamedTuple):
    """One token of a continuation."""

    probability: float
    repeated: bool  # whether it ends an n-gram that occurred before


class PositionRow(NamedTuple):
    """The tokens at one place of all continuations; `fresh` ones repeat no n-gram.

    A reference is one sentence, but a continuation may have a second one. Far places therefore have
    few references, the long ones. The token that ends a continuation is excluded.
    """

    beams: str  # how many, or "reference": the sentences that people wrote
    position: int  # from 1
    tokens: int
    probability: float
    fresh_probability: float | None  # where any is fresh
    repeated: float  # the share of these


class BeamsRow(NamedTuple):
    """The continuations of all pairs with one beam size; the means are over pairs.

    `above` and `below` are the shares of pairs in which the mean log-probability of a token is
    above, or below, that with the beam size before.
    """

    beams: int
    pairs: int
    length: float
    log_probability: float
    mean_log_probability: float
    above: float | None
    below: float | None


def tokens_seen(
    prompt: Tokens, tokens: Tokens, probabilities: Sequence[float], n: int
) -> list[TokenSeen]:
    """The tokens after a prompt; n-grams of the prompt count as seen before, too."""
    whole = [*prompt, *tokens]
    first = len(prompt)
    earlier = {tuple(whole[end - n : end]) for end in range(n, first + 1)}
    found = []
    for end, probability in enumerate(probabilities, first + 1):
        ngram = tuple(whole[max(0, end - n) : end])
        found.append(TokenSeen(probability, ngram in earlier))
        earlier.add(ngram)
    return found


def by_position(beams: str, texts: Sequence[Sequence[TokenSeen]], most: int) -> list[PositionRow]:
    """The first `most` places, as far as any text goes."""
    rows = []
    for place in range(min(most, max(map(len, texts)))):
        every = [text[place] for text in texts if len(text) > place]
        fresh = [each.probability for each in every if not each.repeated]
        rows.append(
            PositionRow(
                beams,
                place + 1,
                len(every),
                statistics.fmean(each.probability for each in every),
                statistics.fmean(fresh) if fresh else None,
                1 - len(fresh) / len(every),
            )
        )
    return rows


def by_beams(found: Mapping[int, Sequence[Continuation]]) -> list[BeamsRow]:
    """A row for each beam size, in their order."""
    rows: list[BeamsRow] = []
    before: Sequence[Continuation] | None = None
    for beams, every in found.items():
        above = below = None
        if before is not None:
            above, below = _share_above(every, before), _share_above(before, every)
        rows.append(
            BeamsRow(
                beams,
                len(every),
                statistics.fmean(len(each.tokens) for each in every),
                statistics.fmean(each.log_probability for each in every),
                statistics.fmean(each.mean_log_probability for each in every),
                above,
                below,
            )
        )
        before = every
    return rows


def _share_above(ones: Sequence[Continuation], others: Sequence[Continuation]) -> float:
    """Texts that are equal do not count, because only rounding could set one above the other."""
    pairs = zip(ones, others, strict=True)
    above = sum(
        one.tokens != other.tokens and one.mean_log_probability > other.mean_log_probability
        for one, other in pairs
    )
    return above / len(ones)
