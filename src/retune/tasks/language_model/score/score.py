"""Stage `score`: compare continuations with the references, and measure their repetition.

ROUGE is computed over words and over tokens, clipped. `ngram_hits` is what notebook N4 calls
ROUGE-3: over tokens, for lengths 1 to 3 together, not clipped. Over tokens, only the first ones of
a continuation count (`first_tokens`, 32 in N4). Over words, the whole text counts.
"""

import math
import sys
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic.dataclasses import dataclass

from retune.core.files import write_json
from retune.core.params import STRICT, Positive, Seed
from retune.tasks.language_model.outputs.records import (
    GeneratedText,
    ReferencePair,
    read_continuations,
    read_pairs,
)
from retune.tasks.language_model.score.rouge import distinct_n, ngram_hits, repeated, rouge_n
from retune.tasks.language_model.score.rouge_words import TOKENIZERS, WordTokenizer


@dataclass(frozen=True, config=STRICT)
class ScoreParams:
    """Section `language_model.score`.

    Args:
        first_tokens: how many of a continuation are compared with the reference over tokens;
            null means all.
        tokenizer: of the words that ROUGE compares
            (`retune.tasks.language_model.score.rouge_words`).
        longest_ngram: ROUGE and repetition use n-grams of 1 to so many tokens or words.
        resamples: how many are drawn of the pairs, to compare two states or methods.
        resampling_seed: of these resamples.
    """

    first_tokens: Positive | None
    tokenizer: WordTokenizer
    longest_ngram: Positive
    resamples: Positive
    resampling_seed: Seed

    @property
    def orders(self) -> range:
        """The lengths of the n-grams."""
        return range(1, self.longest_ngram + 1)


class Share(NamedTuple):
    """One pair's share of a figure, which is the sum of parts over the sum of wholes."""

    part: float
    whole: float


def score(features: Path, generated: Path, metrics: Path, params: ScoreParams) -> str:
    """Score the continuations in `generated` against the pairs of `features`; write `metrics`.

    Raises:
        RetuneError: the continuations belong to other pairs.
    """
    pairs = read_pairs(features)
    generations = read_continuations(generated, pairs)
    figures = totals([shares(*each, params) for each in zip(pairs, generations, strict=True)])
    diversity = [
        {"n": n, "distinct": distinct_n([each.tokens for each in generations], n),
         "repetition": figures[f"repetition_{n}"]}
        for n in params.orders
    ]  # fmt: skip
    rouge = [
        {"over": over, "n": n, **_rouge_figures(figures, f"{prefix}rouge_{n}")}
        for over, prefix in (("words", ""), ("tokens", "token_"))
        for n in params.orders
    ]
    headline = {name: figures[name] for name in headlines(params)}
    details = {
        "pairs": len(pairs),
        "empty": sum(not each.tokens for each in generations),
        "ended": sum(each.ended for each in generations),
        "mean_log_probability": figures["mean_log_probability"],
        "tokenizer": params.tokenizer,
        **_without_words(pairs, generations, params.tokenizer),
    }
    _warn(details)
    lists = {"rouge": rouge, "diversity": diversity, "details": [details]}
    write_json(metrics, {"language_model": {**headline, **lists}})
    figures_text = ", ".join(f"{name} {value:.3f}" for name, value in headline.items())
    return f"{figures_text} of {len(pairs):,} continuations"


def headlines(params: ScoreParams) -> list[str]:
    """The figures that have a column of their own."""
    repetition = f"repetition_{params.longest_ngram}"
    return [*(f"rouge_{n}_f1" for n in params.orders), "ngram_hits", repetition, "tokens"]


def compared(params: ScoreParams) -> list[str]:
    """The figures by which states and methods are compared."""
    over_tokens = [f"token_rouge_{n}_f1" for n in params.orders]
    return [*headlines(params), *over_tokens, "ended", "mean_log_probability"]


def shares(pair: ReferencePair, generation: GeneratedText, params: ScoreParams) -> dict[str, Share]:
    """What a pair adds to each figure."""
    first = generation.tokens[: params.first_tokens]
    words = TOKENIZERS[params.tokenizer]
    found = _rouge_shares("", words(pair.continuation), words(generation.text), params)
    found |= _rouge_shares("token_", pair.continuation_tokens, first, params)
    hits = ngram_hits(pair.continuation_tokens, first, params.longest_ngram)
    return found | {
        "ngram_hits": Share(hits, 1),
        **{f"repetition_{n}": Share(*repeated(generation.tokens, n)) for n in params.orders},
        "tokens": Share(len(generation.tokens), 1),
        "ended": Share(generation.ended, 1),
        "mean_log_probability": Share(*generation.likelihood),
    }


def totals(rows: Sequence[Mapping[str, Share]]) -> dict[str, float]:
    """Each figure over all pairs; 0 if its whole is 0."""
    found = {}
    for name in rows[0]:
        part = math.fsum(row[name].part for row in rows)
        whole = math.fsum(row[name].whole for row in rows)
        found[name] = part / whole if whole else 0.0
    return found


def _without_words(
    pairs: Sequence[ReferencePair], generations: Sequence[GeneratedText], tokenizer: WordTokenizer
) -> dict[str, int]:
    """Count texts that are not empty, but have no words for the tokenizer."""
    words = TOKENIZERS[tokenizer]
    references, continuations = (
        [pair.continuation for pair in pairs],
        [each.text for each in generations],
    )
    return {
        "references_without_words": sum(not words(text) for text in references if text.strip()),
        "continuations_without_words": sum(
            not words(text) for text in continuations if text.strip()
        ),
    }


def _warn(details: Mapping[str, Any]) -> None:
    """Warn on standard error if texts have no words, and say what to do."""
    references, continuations = (
        details[f"{name}_without_words"] for name in ("references", "continuations")
    )
    if references or continuations:
        remedy = (
            "set language_model.score.tokenizer: unicode if they are in another script"
            if details["tokenizer"] == "rouge_score"
            else "they hold neither letters nor digits"
        )
        print(
            f"warning: {references:,} references and {continuations:,} continuations of "
            f"{details['pairs']:,} have no word for the tokenizer {details['tokenizer']}, so that "
            f"their ROUGE over words is 0; {remedy}",
            file=sys.stderr,
        )


def _rouge_shares(
    prefix: str, reference: Sequence[Hashable], candidate: Sequence[Hashable], params: ScoreParams
) -> dict[str, Share]:
    found = {}
    for n in params.orders:
        for kind, value in rouge_n(reference, candidate, n)._asdict().items():
            found[f"{prefix}rouge_{n}_{kind}"] = Share(value, 1)
    return found


def _rouge_figures(figures: Mapping[str, float], name: str) -> dict[str, Any]:
    return {kind: figures[f"{name}_{kind}"] for kind in ("precision", "recall", "f1")}
