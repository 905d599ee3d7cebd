"""What cannot be continued is refused in a sentence."""

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from tiny_decoders import PROMPTS, gpt2, settings
from transformers import MambaConfig, MambaForCausalLM

from retune.core.errors import RetuneError
from retune.tasks.language_model.generate.beams import BeamParams
from retune.tasks.language_model.generate.decoding import SamplingParams
from retune.tasks.language_model.generate.generation import generate
from retune.tasks.language_model.generate.processors import MinLength, WordBlock

every_search = pytest.mark.parametrize(
    "search",
    [
        {},
        {"sampling": SamplingParams(1.0, 5, None, 2)},
        {"beam_search": BeamParams(2, 2, 1.0)},
    ],
    ids=["greedy", "sampling", "beams"],
)


def run(prompts: list[list[int]], ends: tuple[int, ...] = (), **changes: Any) -> Any:
    return generate(gpt2(), prompts, settings(**changes), ends, 1)


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ([[1], []], "prompt 1 is empty; a model continues at least one token"),
        ([[1] * 53], "prompt 0: 53 tokens and 12 new ones are more than the 64 of the model's con"),
        ([[1], [3, 40]], "prompt 1: token 40 is not in the model's vocabulary of 40"),
        ([[-1]], "prompt 0: token -1 is not in the model's vocabulary"),
    ],
)
def test_prompts_that_cannot_be_read_are_refused(prompts: list[list[int]], message: str) -> None:
    with pytest.raises(RetuneError, match=message):
        run(prompts)


def test_a_prompt_that_fills_the_context_is_read() -> None:
    ((found,),) = run([[1] * 52])
    assert len(found.tokens) == 12


def test_an_end_that_there_is_not_is_refused() -> None:
    with pytest.raises(RetuneError, match="end token 40 is not in the model's vocabulary of 40"):
        run([[1]], ends=(40,))


def test_more_beams_than_tokens_are_refused() -> None:
    with pytest.raises(RetuneError, match="beams: 39 are more than the 38 tokens of the model's"):
        run([[1]], ends=(2, 3), beam_search=BeamParams(39, 1, 1.0))


@every_search
def test_a_prompt_that_cannot_go_on_is_told(search: dict[str, Any]) -> None:
    prompts = [[5, 6], list(range(33))]  # 7 tokens are left for the second one
    blocked = {"word_block": WordBlock(None)}
    found = run(prompts, processors=blocked, max_new_tokens=7, **search)
    assert all(len({*each.tokens, *range(33)}) == 40 for each in found[1])
    with pytest.raises(RetuneError, match="forbid every token that could follow prompt 1; loosen"):
        run(prompts, processors=blocked, max_new_tokens=8, **search)


@every_search
def test_a_continuation_that_has_ended_cannot_be_stuck(search: dict[str, Any]) -> None:
    model = gpt2()
    with torch.no_grad():
        model.lm_head.weight[2, 0] = 100.0  # it ends at once, where it may
    # To the first prompt 0, 1, 39 and the end are left; to the second not the end.
    prompts = [list(range(3, 39)), [2, 5]]
    blocked = {"word_block": WordBlock(None)}
    params = settings(blocked, max_new_tokens=8, **search)
    found = generate(model, prompts, params, (2,), 1)
    assert found[0][0].tokens == [2]
    assert all(len(each.tokens) == 8 for each in found[1])


@every_search
def test_a_damaged_model_is_told(search: dict[str, Any]) -> None:
    model = gpt2()
    with torch.no_grad():
        model.lm_head.weight[3] = torch.nan
    with pytest.raises(RetuneError, match="the model gives a probability that is not a number"):
        generate(model, PROMPTS, settings(**search), (), 1)


def test_a_model_whose_memory_cannot_be_put_in_order_is_refused() -> None:
    model = MambaForCausalLM(MambaConfig(vocab_size=40, hidden_size=16, num_hidden_layers=1))
    with pytest.raises(RetuneError, match="MambaForCausalLM has no cache of keys and values"):
        generate(model, [[1]], settings(), (), 1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BeamParams(2, 3, 1.0), "3 continuations are more than the 2 beams"),
        (lambda: BeamParams(0, 0, 1.0), "greater than or equal to 1"),
        (lambda: SamplingParams(0.0, None, None, 1), "greater than or equal to 0.001"),
        (lambda: SamplingParams(1.0, None, 1.5, 1), "less than or equal to 1"),
        (
            lambda: settings(
                beam_search=BeamParams(2, 2, 1.0), sampling=SamplingParams(1.0, None, None, 1)
            ),
            "beam_search and sampling exclude each other",
        ),
        (
            lambda: settings({"min_length": MinLength(13)}),
            "min_length: 13 tokens are more than max_new_tokens, 12; lower it",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        make()
