"""Continue many prompts, batch by batch, by the search that the params choose."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from pydantic.dataclasses import dataclass
from tqdm import tqdm

from retune.core.errors import RetuneError
from retune.core.params import STRICT, Positive
from retune.models.precision import evaluating
from retune.processes.share import ALONE, Share
from retune.tasks.language_model.generate.beams import BeamParams, beam_search, check_vocabulary
from retune.tasks.language_model.generate.decoding import (
    Continuation,
    Rules,
    SamplingParams,
    draws_of,
    greedy,
    sample,
)
from retune.tasks.language_model.generate.kv_cache import CachedDecoder
from retune.tasks.language_model.generate.processors import ProcessorParams
from retune.tasks.language_model.texts.prompts import Padded, Tokens, check_tokens, vocabulary_size

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from retune.tasks.language_model.generate.text_generator import TextGenerator


@dataclass(frozen=True, config=STRICT)
class GenerationParams:
    """How prompts are continued: by beam search, by sampling, or greedily if both are null.

    Args:
        batch_size: how many prompts are continued together.
        max_new_tokens: a continuation that has not ended is cut here.
        beam_search: its settings, or null.
        sampling: its settings, or null.
        processors: they change the scores of the next token.
    """

    batch_size: Positive
    max_new_tokens: Positive
    beam_search: BeamParams | None
    sampling: SamplingParams | None
    processors: ProcessorParams

    def __post_init__(self) -> None:
        """Refuse settings that contradict each other."""
        if self.beam_search is not None and self.sampling is not None:
            raise ValueError("beam_search and sampling exclude each other; set one of them to null")
        least = self.processors.min_length
        if least is not None and least.tokens > self.max_new_tokens:
            raise ValueError(
                f"min_length: {least.tokens} tokens are more than max_new_tokens, "
                f"{self.max_new_tokens}; lower it"
            )

    @property
    def copies(self) -> int:
        """How many rows of a batch a prompt has."""
        if self.beam_search is not None:
            return self.beam_search.beams
        return 1 if self.sampling is None else self.sampling.continuations


def generate(
    model: "PreTrainedModel",
    prompts: Sequence[Tokens],
    params: GenerationParams,
    ends: Sequence[int],
    seed: int,
    share: Share = ALONE,
) -> list[list[Continuation]]:
    """Continue each prompt; its continuations are ranked, best first.

    Prompts of similar length share a batch. The samples of a prompt depend on its tokens and
    `seed`, not on the other prompts. The precision is that of the model's weights. Long runs show
    a progress bar.

    Args:
        model: a causal language model.
        prompts: their tokens.
        params: the search and its settings.
        ends: the tokens that end a continuation; there may be none.
        seed: of sampling.
        share: of this process in the batches; every process gets all continuations.

    Raises:
        RetuneError: a prompt is empty, too long or not of the model's vocabulary; there are more
            beams than tokens; processors forbid every token.
    """
    check_tokens(model, prompts, "prompt", more=params.max_new_tokens)
    check_ends(ends, vocabulary_size(model))
    if params.beam_search is not None:
        check_vocabulary(params.beam_search, vocabulary_size(model), len(ends))
    order = sorted(range(len(prompts)), key=lambda number: -len(prompts[number]))
    found: dict[int, list[Continuation]] = {}
    with evaluating(model, "fp32") as device:
        stops = torch.tensor(list(ends), dtype=torch.long, device=device)
        processors = params.processors.chosen()

        def continued(numbers: Sequence[int]) -> list[list[Continuation]]:
            some = [prompts[number] for number in numbers]
            rules = Rules(numbers, params.max_new_tokens, stops, processors)
            batch = Padded.left(some, device)
            decoder = CachedDecoder(model, batch, params.copies, params.max_new_tokens)
            return _continued(decoder, rules, params, some, seed)

        computed = share.computed(order, params.batch_size, continued)
        count = math.ceil(len(order) / params.batch_size)
        bar = tqdm(computed, "generate", count, leave=False, unit=" batches", delay=2)
        for numbers, continuations in bar:
            found.update(zip(numbers, continuations, strict=True))
    return [found[number] for number in range(len(prompts))]


def best_continuations(
    generator: "TextGenerator", prompts: Sequence[Tokens], params: GenerationParams, seed: int
) -> list[Continuation]:
    """Return the best continuation of each prompt; arguments and errors as for `generate`."""
    found = generate(generator.model, prompts, params, generator.ends, seed, generator.share)
    return [every[0] for every in found]


def check_ends(ends: Sequence[int], vocabulary: int) -> None:
    """Refuse end tokens outside the vocabulary.

    Raises:
        RetuneError: there is one.
    """
    wrong = [end for end in ends if not 0 <= end < vocabulary]
    if wrong:
        raise RetuneError(
            f"end token {wrong[0]} is not in the model's vocabulary of {vocabulary}; use the one "
            "of the model's own tokenizer"
        )


def _continued(
    decoder: CachedDecoder,
    rules: Rules,
    params: GenerationParams,
    prompts: Sequence[Tokens],
    seed: int,
) -> list[list[Continuation]]:
    if params.beam_search is not None:
        return beam_search(decoder, rules, params.beam_search)
    if params.sampling is not None:
        draws = draws_of(prompts, params.copies, params.max_new_tokens, seed)
        return sample(decoder, rules, params.sampling, draws)
    return greedy(decoder, rules)
