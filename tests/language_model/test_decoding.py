"""Greedy decoding, beam search and sampling are held to transformers' `generate`."""

import math
from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_decoders import (
    PROMPTS,
    VOCABULARY,
    Decoder,
    generated,
    gpt2,
    one_attention,
    settings,
    until_end,
)
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    GPT2LMHeadModel,
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from retune.tasks.language_model.generate.beams import BeamParams
from retune.tasks.language_model.generate.decoding import (
    Candidates,
    Continuation,
    SamplingParams,
    candidates,
    drawn,
    draws_of,
)
from retune.tasks.language_model.generate.generation import GenerationParams, generate
from retune.tasks.language_model.generate.processors import MinLength, NGramBlock, RepetitionPenalty

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
PENALTIES = (1.0, 0.0, 2.0, -1.0)
ENDS = {"endless": (), "one end": (2,), "three ends": (2, 7, 11)}

gpt2 = cache(gpt2)


def continued(
    model: Decoder,
    params: GenerationParams,
    ends: tuple[int, ...] = (),
    seed: int = 0,
) -> list[list[Continuation]]:
    return generate(model, PROMPTS, params, ends, seed)


@pytest.mark.parametrize("ends", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("name", PROCESSORS)
def test_greedy_is_that_of_transformers(name: str, ends: tuple[int, ...]) -> None:
    options, processors = PROCESSORS[name]
    for model in (gpt2(0, ends), *(one_attention(seed, ends) for seed in (1, 2, 3))):
        ours = continued(model, settings(processors), ends)
        theirs = generated(model, PROMPTS, ends, max_new_tokens=12, do_sample=False, **options)
        assert [[each.tokens for each in some] for some in ours] == [
            [tokens for tokens, _ in some] for some in theirs
        ]


@pytest.mark.parametrize("ends", ENDS)
@pytest.mark.parametrize("name", PROCESSORS)
@pytest.mark.parametrize("beams", range(2, 9))
def test_beams_are_those_of_transformers(beams: int, name: str, ends: str) -> None:
    for seed, penalty in enumerate(PENALTIES):
        check_beams(one_attention(seed, ENDS[ends]), beams, name, ENDS[ends], penalty)


@pytest.mark.parametrize("ends", ENDS)
@pytest.mark.parametrize("penalty", PENALTIES)
def test_beams_of_gpt2_are_those_of_transformers(penalty: float, ends: str) -> None:
    check_beams(gpt2(0, ENDS[ends]), 5, "all", ENDS[ends], penalty)


def check_beams(
    model: Decoder, beams: int, name: str, ends: tuple[int, ...],
    penalty: float,
) -> None:  # fmt: skip
    options, processors = PROCESSORS[name]
    found = BeamParams(beams, beams, penalty)
    ours = continued(model, settings(processors, beam_search=found), ends)
    theirs = generated(
        model, PROMPTS, ends,
        max_new_tokens=12, do_sample=False, num_beams=beams, num_return_sequences=beams,
        length_penalty=penalty, early_stopping="never", **options,
    )  # fmt: skip
    for some, expected in zip(ours, theirs, strict=True):
        assert [each.tokens for each in some] == [tokens for tokens, _ in expected]
        scores = [score for _, score in expected]
        assert [each.score for each in some] == pytest.approx(scores, abs=2e-6, rel=1e-6)


@pytest.mark.parametrize("ends", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("beams", [1, 2, 3])
def test_beams_are_those_of_a_search_without_cache_and_padding(
    beams: int, ends: tuple[int, ...]
) -> None:
    for seed, length_penalty in enumerate((1.0, 0.0, 2.0)):
        model = gpt2(seed, ends)
        found = BeamParams(beams, beams, length_penalty)
        ours = continued(model, settings(beam_search=found), ends)
        for prompt, some in zip(PROMPTS, ours, strict=True):
            expected = plain_search(model, prompt, found, ends, 12)
            assert [each.tokens for each in some] == [tokens for _, tokens in expected]
            assert [each.score for each in some] == pytest.approx([s for s, _ in expected])


def plain_search(
    model: GPT2LMHeadModel, prompt: list[int], params: BeamParams, ends: tuple[int, ...], most: int
) -> list[tuple[float, list[int]]]:
    """Search to the last step whatever was found before."""
    running: list[tuple[float, list[int]]] = [(0.0, [])]
    finished: list[tuple[float, list[int]]] = []
    for step in range(1, most + 1):
        every = next_logs(model, [prompt + tokens for _, tokens in running])
        longer = [
            (total + log, [*tokens, token])
            for (total, tokens), logs in zip(running, every, strict=True)
            for token, log in enumerate(logs)
        ]
        longer.sort(key=lambda each: -each[0])
        going = [each for each in longer if each[1][-1] not in ends and step < most]
        done = [each for each in longer[: params.beams] if each[1][-1] in ends or step == most]
        finished += [(total / step**params.length_penalty, tokens) for total, tokens in done]
        running = going[: params.beams]
    return sorted(finished, key=lambda each: -each[0])[: params.continuations]


@torch.inference_mode()
def next_logs(model: GPT2LMHeadModel, sequences: list[list[int]]) -> list[list[float]]:
    """The log-probabilities of the token after each sequence; all are of one length."""
    logs: list[list[float]] = model(torch.tensor(sequences)).logits[:, -1].log_softmax(1).tolist()
    return logs


@pytest.mark.parametrize(
    "search", [{}, {"beam_search": BeamParams(4, 4, 1.0)}], ids=["greedy", "beams"]
)
@pytest.mark.parametrize("name", ["plain", "all"])
def test_probabilities_are_the_models_own(name: str, search: dict[str, Any]) -> None:
    model = gpt2(3, (2,))
    for prompt, some in zip(
        PROMPTS, continued(model, settings(PROCESSORS[name][1], **search), (2,)), strict=True
    ):
        for each in some:
            logs = [
                next_logs(model, [prompt + each.tokens[:place]])[0][token]
                for place, token in enumerate(each.tokens)
            ]
            assert each.probabilities == pytest.approx([math.exp(log) for log in logs], rel=1e-4)
            assert each.log_probability == pytest.approx(sum(logs), rel=1e-4)
            assert each.mean_log_probability == pytest.approx(sum(logs) / len(logs), rel=1e-4)
            if name == "plain":  # no processor changes what a beam is ranked by
                assert each.score == pytest.approx(each.mean_log_probability, rel=1e-5)


def test_batches_change_nothing_but_rounding() -> None:
    model = gpt2(1, (2,))
    found = {"beam_search": BeamParams(3, 2, 1.0)}
    together = continued(model, settings(**found), (2,))
    for size in (1, 2, 3):
        some = continued(model, settings(**found, batch_size=size), (2,))
        assert [[c.tokens for c in each] for each in some] == [
            [c.tokens for c in each] for each in together
        ]


@given(
    st.floats(0.1, 3.0),
    st.none() | st.integers(1, 45),
    st.none() | st.floats(0.01, 1.0),
    st.integers(0, 100),
)
def test_what_may_be_drawn_is_what_transformers_draws_from(
    temperature: float, top_k: int | None, top_p: float | None, seed: int
) -> None:
    logits = 3 * torch.randn(3, VOCABULARY, generator=torch.Generator().manual_seed(seed))
    warpers = LogitsProcessorList([TemperatureLogitsWarper(temperature)])
    if top_k is not None:
        warpers.append(TopKLogitsWarper(top_k))
    if top_p is not None and top_p < 1:
        warpers.append(TopPLogitsWarper(top_p))
    expected = warpers(torch.zeros(3, 1, dtype=torch.long), logits).softmax(1)
    found = candidates(logits, SamplingParams(temperature, top_k, top_p, 1))
    ours = torch.zeros_like(logits).scatter(1, found.tokens, found.probabilities)
    torch.testing.assert_close(ours, expected, atol=1e-6, rtol=1e-5)


def test_draws_are_those_of_their_seed() -> None:
    model, params = gpt2(0, (2,)), settings(sampling=SamplingParams(1.5, 20, 0.95, 3))
    once, again, other = (continued(model, params, (2,), seed) for seed in (1, 1, 2))
    assert once == again
    assert once != other
    for some in once:
        assert len(some) == 3
        assert len({tuple(each.tokens) for each in some}) > 1
        assert [each.score for each in some] == sorted((each.score for each in some), reverse=True)
        assert all(until_end(each.tokens, (2,)) == each.tokens for each in some)


def test_a_copy_draws_the_same_however_many_there_are() -> None:
    few, many = (draws_of(PROMPTS, copies, steps, 7) for copies, steps in ((1, 3), (4, 9)))
    assert torch.equal(many[::4, :3], few)
    assert len({*many[:, 0].tolist()}) == 4 * len(PROMPTS)
    assert not torch.equal(draws_of([[5], [5, 0]], 1, 3, 7)[0], draws_of([[5, 0]], 1, 3, 7)[0])


def test_a_draw_finds_its_token_by_id_and_none_that_cannot_be() -> None:
    found = Candidates(torch.tensor([[7, 2, 5, 1]]), torch.tensor([[0.5, 0.25, 0.25, 0.0]]))
    for draw, token in ((0.0, 2), (0.2, 2), (0.25, 5), (0.5, 7), (1 - 2**-24, 7)):
        assert drawn(found, torch.tensor([draw])).tolist() == [token]


def test_tokens_are_drawn_as_often_as_they_are_likely() -> None:
    model = gpt2(0)
    sampling = SamplingParams(1.0, None, None, 4000)
    params = settings(sampling=sampling, max_new_tokens=1)
    (some,) = generate(model, [[5, 6]], params, (), 0)
    drawn = torch.bincount(torch.tensor([each.tokens[0] for each in some]), minlength=VOCABULARY)
    expected = torch.tensor(next_logs(model, [[5, 6]])[0]).exp()
    assert (drawn / 4000 - expected).abs().max() < 0.03


def test_the_likeliest_token_alone_makes_sampling_greedy() -> None:
    model = gpt2(2, (2,))
    drawn = continued(model, settings(sampling=SamplingParams(1.0, 1, None, 1)), (2,))
    assert drawn == continued(model, settings(), (2,))


def test_a_model_without_positions_and_with_other_caches_is_read_alike() -> None:
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "n_layer": 2, "n_head": 4, "vocab_size": VOCABULARY}
    model = BloomForCausalLM(BloomConfig(**sizes, initializer_range=0.3)).eval()
    found = BeamParams(3, 3, 1.0)
    for prompt, some in zip(PROMPTS, continued(model, settings(beam_search=found)), strict=True):
        expected = plain_search(model, prompt, found, (), 12)
        assert [each.tokens for each in some] == [tokens for _, tokens in expected]


def test_no_prompts_have_no_continuations() -> None:
    assert generate(gpt2(), [], settings(), (), 0) == []


def test_the_smallest_temperature_leaves_the_likeliest_token() -> None:
    logits = torch.tensor([[1.0, 3.0, -torch.inf, 2.0]])
    found = candidates(logits, SamplingParams(1e-3, None, None, 1))
    assert found.tokens[0, 0] == 1
    assert found.probabilities.tolist() == [[1.0, 0.0, 0.0, 0.0]]
