"""Stage `plots`: the probability of each token of a continuation, by the number of beams.

For the prompts of notebook N4 it is shown token by token, as tables and as coloured text. For all
validation pairs it is shown as curves (`retune.tasks.language_model.plots.curves`).
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import Field
from pydantic.dataclasses import dataclass

from retune.core.errors import RetuneError, excerpt
from retune.core.files import atomic_path, write_csv, write_json
from retune.core.params import STRICT, Positive
from retune.processes.share import ALONE, Share
from retune.tasks.language_model.generate.beams import BeamParams
from retune.tasks.language_model.generate.decoding import Continuation
from retune.tasks.language_model.generate.generation import GenerationParams, best_continuations
from retune.tasks.language_model.generate.pieces import Piece
from retune.tasks.language_model.generate.processors import ProcessorParams
from retune.tasks.language_model.generate.text_generator import TextGenerator, load_text_generator
from retune.tasks.language_model.outputs.records import ReferencePair, of_pairs, read_pairs
from retune.tasks.language_model.perplexity.scores import continuation_log_probabilities
from retune.tasks.language_model.plots.coloured import Coloured, page
from retune.tasks.language_model.plots.curves import (
    BeamsRow,
    PositionRow,
    TokenSeen,
    by_beams,
    by_position,
    tokens_seen,
)
from retune.tasks.language_model.texts.prompts import Tokens, check_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Sizes = Annotated[list[Positive], Field(min_length=1)]


@dataclass(frozen=True, config=STRICT)
class PromptParams:
    """A prompt, the numbers of beams that continue it, and the number of new tokens."""

    text: Annotated[str, Field(pattern=r"\S")]
    beams: Sizes
    max_new_tokens: Positive


@dataclass(frozen=True, config=STRICT)
class PairsParams:
    """The same for the first sentences; a token that ends a known n-gram repeats it."""

    beams: Sizes
    max_new_tokens: Positive
    repeated_ngram: Positive


@dataclass(frozen=True, config=STRICT)
class PlotsParams:
    """Section `language_model.plots`; `length_penalty` is that of the beams (see `BeamParams`)."""

    batch_size: Positive
    length_penalty: Annotated[float, Field(ge=-10.0, le=10.0)]
    prompts: Annotated[list[PromptParams], Field(min_length=1)]
    pairs: PairsParams

    def search(self, beams: int, max_new_tokens: int) -> GenerationParams:
        """Plain beam search, without any processor."""
        none = ProcessorParams(None, None, None, None)
        chosen = BeamParams(beams, 1, self.length_penalty)
        return GenerationParams(self.batch_size, max_new_tokens, chosen, None, none)


class Shown(NamedTuple):
    """A continuation of a prompt with one number of beams."""

    prompt: str
    beams: int
    found: Continuation
    pieces: Sequence[Piece]


class Plots(NamedTuple):
    """Paths of the tables and texts."""

    token_probabilities: Path
    beams: Path
    by_position: Path
    pair_beams: Path
    texts: Path
    coloured: Path


def plots(
    features: Path,
    model: "PreTrainedModel",
    files: Plots,
    params: PlotsParams,
    share: Share = ALONE,
) -> str:
    """Continue the prompts of `params` and those of `features`; write `files`.

    Several processes share out the batches, and the first one writes.

    Raises:
        RetuneError: a prompt cannot be read or continued, or there are more beams than tokens.
    """
    generator = load_text_generator(model, features / "tokenizer", share)
    shown = [each for prompt in params.prompts for each in _continued(generator, prompt, params)]
    positions, sizes = _curves(generator, features, params)
    if not share.is_first:
        return ""
    write_csv(
        files.token_probabilities,
        ("prompt", "beams", "position", "token", "probability"),
        [row for each in shown for row in _token_rows(each)],
    )
    write_csv(
        files.beams,
        ("prompt", "beams", "length", "log_probability", "mean_log_probability"),
        [_beams_row(each) for each in shown],
    )
    write_csv(files.by_position, PositionRow._fields, positions)
    write_csv(files.pair_beams, BeamsRow._fields, sizes)
    write_json(files.texts, [_text(each) for each in shown])
    html = page("Continuations by number of beams", [_coloured(each) for each in shown])
    with atomic_path(files.coloured) as temporary:
        temporary.write_text(html, encoding="utf-8", newline="\n")
    best = max(sizes, key=lambda row: row.mean_log_probability)
    return (
        f"{len(shown)} continuations of {len(params.prompts)} prompts; over {best.pairs:,} pairs "
        f"{best.beams} beams have the highest mean log-probability, {best.mean_log_probability:.3f}"
    )


def _continued(
    generator: TextGenerator, prompt: PromptParams, params: PlotsParams
) -> Iterator[Shown]:
    tokens = generator.read(prompt.text)
    for beams in prompt.beams:
        try:
            (found,) = _beam_search(generator, [tokens], params, beams, prompt.max_new_tokens)
        except RetuneError as error:
            place = f"language_model.plots.prompts: {excerpt(prompt.text)}"
            raise RetuneError(f"{place}: {error}") from None
        yield Shown(prompt.text, beams, found, generator.pieces(tokens, found))


def _beam_search(
    generator: TextGenerator, prompts: Sequence[Tokens], params: PlotsParams, beams: int, most: int
) -> list[Continuation]:
    search = params.search(beams, most)
    return best_continuations(generator, prompts, search, seed=0)  # a beam search draws nothing


def _curves(
    generator: TextGenerator, features: Path, params: PlotsParams
) -> tuple[list[PositionRow], list[BeamsRow]]:
    pairs, most = read_pairs(features), params.pairs.max_new_tokens
    prompts = [pair.prompt_tokens for pair in pairs]
    with of_pairs(features):
        check_tokens(generator.model, prompts, "prompt", more=most)
        rows = by_position("reference", _references_seen(generator, pairs, params), most)
    found = {}
    for beams in params.pairs.beams:
        found[beams] = _beam_search(generator, prompts, params, beams, most)
        seen = [_seen(generator, *each, params) for each in zip(prompts, found[beams], strict=True)]
        rows += by_position(str(beams), seen, most)
    return rows, by_beams(found)


def _seen(
    generator: TextGenerator, prompt: Tokens, found: Continuation, params: PlotsParams
) -> list[TokenSeen]:
    """The tokens of a continuation, except the one that ends it, which no reference has."""
    count = len(found.tokens) - generator.has_ended(found)
    tokens, probabilities = found.tokens[:count], found.probabilities[:count]
    return tokens_seen(prompt, tokens, probabilities, params.pairs.repeated_ngram)


def _references_seen(
    generator: TextGenerator, pairs: Sequence[ReferencePair], params: PlotsParams
) -> list[list[TokenSeen]]:
    sequences = [(pair.prompt_tokens, pair.continuation_tokens) for pair in pairs]
    logs = continuation_log_probabilities(
        generator.model, sequences, params.batch_size, generator.share
    )
    return [
        tokens_seen(prompt, after, list(map(math.exp, each)), params.pairs.repeated_ngram)
        for (prompt, after), each in zip(sequences, logs, strict=True)
    ]


def _token_rows(shown: Shown) -> list[tuple[str, int, int, str, float]]:
    """A row for each token; tokens that together make a character all show that character."""
    rows = [(piece.text, value) for piece in shown.pieces for value in piece.probabilities]
    return [(shown.prompt, shown.beams, place, *row) for place, row in enumerate(rows, 1)]


def _beams_row(shown: Shown) -> tuple[str, int, int, float, float]:
    found = shown.found
    sums = found.log_probability, found.mean_log_probability
    return (shown.prompt, shown.beams, len(found.tokens), *sums)


def _text(shown: Shown) -> dict[str, Any]:
    return {
        "prompt": shown.prompt,
        "beams": shown.beams,
        "mean_log_probability": shown.found.mean_log_probability,
        "tokens": [{"text": p.text, "probability": p.probability} for p in shown.pieces],
    }


def _coloured(shown: Shown) -> Coloured:
    beams = "1 beam" if shown.beams == 1 else f"{shown.beams} beams"
    mean = shown.found.mean_log_probability
    return Coloured(f"{beams}, mean log-probability {mean:.3f}", shown.prompt, shown.pieces)
