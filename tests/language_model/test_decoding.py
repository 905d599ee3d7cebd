"""Greedy decoding, beam search and sampling are held to transformers' `generate`."""

from typing import Any

import pytest
import torch
from models import PROMPTS, generated, gpt2, settings
from transformers import (
    GPT2LMHeadModel,
)

from retune.language_model.beams import BeamParams
from retune.language_model.decoding import Continuation
from retune.language_model.generation import GenerationParams, generate
from retune.language_model.processors import MinLength, NGramBlock, RepetitionPenalty

#: By the options of `generate`, the processors that do the same.
PROCESSORS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({}, {}),
    "bigrams": ({"no_repeat_ngram_size": 2}, {"ngram_block": NGramBlock(2)}),
    "trigrams": ({"no_repeat_ngram_size": 3}, {"ngram_block": NGramBlock(3)}),
    "penalty": ({"repetition_penalty": 1.3}, {"repetition_penalty": RepetitionPenalty(1.3)}),
    "reward": ({"repetition_penalty": 0.8}, {"repetition_penalty": RepetitionPenalty(0.8)}),
    "least": ({"min_new_tokens": 5}, {"min_length": MinLength(5)}),
    "all": (
        {"no_repeat_ngram_size": 3, "repetition_penalty": 1.2, "min_new_tokens": 4},
        {
            "ngram_block": NGramBlock(3),
            "repetition_penalty": RepetitionPenalty(1.2),
            "min_length": MinLength(4),
        },
    ),
}
ENDS = {"endless": (), "one end": (2,), "three ends": (2, 7, 11)}


def continued(
    model: GPT2LMHeadModel, params: GenerationParams, ends: tuple[int, ...] = (), seed: int = 0
) -> list[list[Continuation]]:
    return generate(model, PROMPTS, params, ends, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("ends", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("name", PROCESSORS)
def test_greedy_is_that_of_transformers(name: str, ends: tuple[int, ...]) -> None:
    options, processors = PROCESSORS[name]
    for seed in range(4):
        model = gpt2(seed, ends)
        ours = continued(model, settings(processors), ends)
        theirs = generated(model, PROMPTS, ends, max_new_tokens=12, do_sample=False, **options)
        assert [[each.tokens for each in some] for some in ours] == [
            [tokens for tokens, _ in some] for some in theirs
        ]


@pytest.mark.parametrize("ends", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("name", PROCESSORS)
@pytest.mark.parametrize("beams", range(2, 9))
def test_beams_are_those_of_transformers(beams: int, name: str, ends: tuple[int, ...]) -> None:
    options, processors = PROCESSORS[name]
    for seed, length_penalty in enumerate((1.0, 0.0, 2.0, -1.0)):
        model = gpt2(seed, ends)
        found = BeamParams(beams, beams, length_penalty)
        ours = continued(model, settings(processors, beam_search=found), ends)
        theirs = generated(
            model, PROMPTS, ends,
            max_new_tokens=12, do_sample=False, num_beams=beams, num_return_sequences=beams,
            length_penalty=length_penalty, early_stopping="never", **options,
        )  # fmt: skip
        for some, expected in zip(ours, theirs, strict=True):
            assert [each.tokens for each in some] == [tokens for tokens, _ in expected]
            scores = [score for _, score in expected]
            assert [each.score for each in some] == pytest.approx(scores, abs=2e-6, rel=1e-6)
