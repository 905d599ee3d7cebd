"""Perplexities are those of the model's own logits, each token once."""

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_decoders import PROMPTS, gpt2
from transformers import GPT2LMHeadModel

from retune.core.errors import RetuneError
from retune.tasks.language_model.outputs.likelihoods import Likelihood, perplexity
from retune.tasks.language_model.perplexity.scores import (
    continuation_likelihoods,
    stretches,
    text_likelihoods,
)

PAIRS = [([5], [6, 7]), ([8, 9, 10, 11, 12], [3]), ([1, 2], [3, 4, 5, 6, 7, 8, 9]), ([2], [2])]


@torch.inference_mode()
def mean_loss(model: GPT2LMHeadModel, tokens: Sequence[int], masked: int) -> float:
    """transformers' own loss of a sequence whose first tokens are masked out of it."""
    labels = torch.tensor([[-100] * masked + list(tokens[masked:])])
    return float(model(torch.tensor([list(tokens)]), labels=labels).loss)


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_a_continuation_is_scored_without_its_prompt(batch_size: int) -> None:
    model = gpt2()
    found = continuation_likelihoods(model, PAIRS, batch_size)
    losses = [mean_loss(model, [*prompt, *after], len(prompt)) for prompt, after in PAIRS]
    for (_, after), one, loss in zip(PAIRS, found, losses, strict=True):
        assert one.tokens == len(after)
        assert one.log_probability == pytest.approx(-loss * len(after), rel=1e-5)
    total = sum(loss * len(after) for (_, after), loss in zip(PAIRS, losses, strict=True))
    count = sum(len(after) for _, after in PAIRS)
    assert perplexity(found) == pytest.approx(math.exp(total / count), rel=1e-5)


def test_texts_within_a_window_are_scored_as_a_whole() -> None:
    model = gpt2()
    found = text_likelihoods(model, PROMPTS, 64, 32, 4)
    for text, one in zip(PROMPTS, found, strict=True):
        assert one.tokens == len(text) - 1
        loss = mean_loss(model, text, 1) if len(text) > 1 else 0.0
        assert one.log_probability == pytest.approx(-loss * (len(text) - 1), rel=1e-5)


@pytest.mark.parametrize("stride", [1, 3, 15])
def test_long_texts_are_scored_in_windows(stride: int) -> None:
    model = gpt2()
    text = torch.randint(0, 39, (50,), generator=torch.Generator().manual_seed(0)).tolist()
    (found,) = text_likelihoods(model, [text], 16, stride, 4)
    assert found.tokens == 49
    expected = -15 * mean_loss(model, text[:16], 1)
    at = 16
    while at < 50:  # each window is what comes before and `stride` new tokens
        end = min(at + stride, 50)
        expected -= (end - at) * mean_loss(model, text[end - 16 : end], 16 - (end - at))
        at = end
    assert found.log_probability == pytest.approx(expected, rel=1e-5)


@given(st.integers(1, 80), st.integers(2, 20), st.data())
def test_each_token_but_the_first_counts_once(
    length: int, window: int, data: st.DataObject
) -> None:
    stride = data.draw(st.integers(1, window - 1))
    parts = stretches(length, window, stride)
    counted = [token for part in parts for token in range(part.counted, part.end)]
    assert counted == list(range(1, length))
    for part in parts:
        assert 0 <= part.begin < part.counted < part.end
        assert part.end - part.begin == min(window, length)
        assert part.counted == 1 or part.counted - part.begin >= window - stride


def test_a_model_that_knows_nothing_is_as_perplexed_as_its_vocabulary_is_large() -> None:
    model = gpt2()
    with torch.no_grad():
        model.lm_head.weight.zero_()
    assert perplexity(continuation_likelihoods(model, PAIRS, 2)) == pytest.approx(40)
    assert perplexity(text_likelihoods(model, PROMPTS, 4, 2, 2)) == pytest.approx(40)


def test_perplexities_without_bounds_are_infinite() -> None:
    assert perplexity([Likelihood(-1e6, 2)]) == math.inf
    assert perplexity([Likelihood(-math.inf, 2)]) == math.inf
    assert perplexity([Likelihood(0.0, 2), Likelihood(0.0, 0)]) == 1.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: continuation_likelihoods(m, [([1], [1]), ([], [1])], 2), "prompt 1 is empty"),
        (lambda m: continuation_likelihoods(m, [([1], [])], 2), "continuation 0 is empty; leave"),
        (
            lambda m: continuation_likelihoods(m, [([1] * 60, [1] * 5)], 2),
            "prompt and continuation 0: 65 tokens are more than the 64 of the model's context; sh",
        ),
        (lambda m: text_likelihoods(m, [[1]], 65, 3, 2), "window: 65 tokens are more than the 64"),
        (lambda m: text_likelihoods(m, [[1]], 8, 8, 2), "stride: 8 is not between 1 and 7"),
        (lambda m: text_likelihoods(m, [[1]], 8, 0, 2), "stride: 0 is not between 1 and 7"),
        (lambda m: text_likelihoods(m, [[1], []], 8, 4, 2), "text 1 is empty"),
        (lambda m: text_likelihoods(m, [[1] * 20 + [77]], 8, 4, 2), "text 0: token 77 is not in"),
        (lambda m: perplexity(text_likelihoods(m, [[1]], 8, 4, 2)), "no token to take the perple"),
    ],
)
def test_what_cannot_be_scored_is_refused(call: Any, message: str) -> None:
    with pytest.raises(RetuneError, match=message):
        call(gpt2())


def test_a_damaged_model_is_told() -> None:
    model = gpt2()
    with torch.no_grad():
        model.lm_head.weight[3] = torch.nan
    with pytest.raises(RetuneError, match="the model gives a probability that is not a number"):
        continuation_likelihoods(model, PAIRS, 2)
