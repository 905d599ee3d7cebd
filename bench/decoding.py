"""Decoding: new tokens a second of retune's searches and of transformers' `generate`.

Both continue the same prompts with the same model, in float32, with the same settings, and give
the same tokens, except in sampling. The weights are random, which does not change the speed.
"""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from transformers import GPT2Config, GPT2LMHeadModel
from transformers.utils import logging

from bench import measure
from retune.tasks.language_model.generate.beams import BeamParams
from retune.tasks.language_model.generate.decoding import SamplingParams
from retune.tasks.language_model.generate.generation import GenerationParams, generate
from retune.tasks.language_model.generate.processors import NGramBlock, ProcessorParams

#: Layers, heads and hidden size: GPT-2's, and a small model's for a quick look.
SIZES = {"gpt2": (12, 12, 768), "mini": (4, 4, 256)}
BEAMS = {"num_beams": 5, "length_penalty": 1.0, "early_stopping": "never"}
DRAWN = {"do_sample": True, "temperature": 0.8, "top_k": 50, "top_p": 0.9}
#: By the search, retune's settings and those of `generate`.
SEARCHES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "greedy": ({}, {"do_sample": False}),
    "5 beams": ({"beam_search": BeamParams(5, 1, 1.0)}, {"do_sample": False, **BEAMS}),
    "5 beams, no trigram twice": (
        {"beam_search": BeamParams(5, 1, 1.0), "ngram_block": NGramBlock(3)},
        {"do_sample": False, "no_repeat_ngram_size": 3, **BEAMS},
    ),
    "sampling": ({"sampling": SamplingParams(0.8, 50, 0.9, 1)}, DRAWN),
}

Prompts = list[list[int]]


def main() -> None:
    """Measure, and print or save the figures."""
    parser = measure.parser("decoding", str(__doc__).splitlines()[0])
    parser.add_argument("--model", choices=SIZES, default="gpt2", help="its size (default: gpt2)")
    parser.add_argument("--prompts", type=int, default=4, help="continued together (default: 4)")
    parser.add_argument("--length", type=int, default=32, help="of a prompt at most (default: 32)")
    parser.add_argument("--tokens", type=int, default=32, help="new ones (default: 32)")
    options = parser.parse_args()
    logging.set_verbosity_error()
    model = _model(*SIZES[options.model])
    prompts = _prompts(options)
    same: dict[str, float] = {}
    comparisons = [_comparison(name, model, prompts, options, same) for name in SEARCHES]
    measure.report(
        "decoding",
        comparisons,
        options,
        model=options.model,
        prompts=options.prompts,
        prompt_tokens=sum(map(len, prompts)),
        new_tokens=options.tokens,
        identical_continuations=same,
    )
    for name, share in same.items():
        print(f"{name}: {share:.0%} of the continuations are identical", file=sys.stderr)


def _comparison(
    name: str,
    model: GPT2LMHeadModel,
    prompts: Prompts,
    options: argparse.Namespace,
    same: dict[str, float],
) -> measure.Comparison:
    ours, theirs = SEARCHES[name]
    said: dict[str, Prompts] = {}
    sides = {
        "retune": partial(_retune_rate, model, prompts, options, ours, said),
        "generate": partial(_generate_rate, model, prompts, options, theirs, said),
    }
    title = f"{name}, {options.model}, {options.prompts} prompts, {options.tokens} new tokens"
    found = measure.alternate(title, "tokens/s", sides, options.rounds, {"generate": 1.0})
    if not theirs.get("do_sample"):
        pairs = zip(said["retune"], said["generate"], strict=True)
        same[name] = sum(one == other for one, other in pairs) / len(prompts)
    return found


def _model(layers: int, heads: int, hidden: int) -> GPT2LMHeadModel:
    """Return a random GPT-2 in which some tokens are far more likely, as in a trained one."""
    torch.manual_seed(0)
    special = {"bos_token_id": None, "eos_token_id": None}
    sizes = {"n_layer": layers, "n_head": heads, "n_embd": hidden}
    return GPT2LMHeadModel(GPT2Config(**sizes, **special, initializer_range=0.1)).eval()


def _prompts(options: argparse.Namespace) -> Prompts:
    """Return prompts of half of `length` to `length` tokens, without the padding token 0."""
    chance = torch.Generator().manual_seed(1)
    lengths = [options.length - number % (options.length // 2) for number in range(options.prompts)]
    return [torch.randint(1, 50257, (n,), generator=chance).tolist() for n in lengths]


def _retune_rate(
    model: GPT2LMHeadModel,
    prompts: Prompts,
    options: argparse.Namespace,
    settings: Mapping[str, Any],
    said: dict[str, Prompts],
) -> float:
    params = GenerationParams(
        batch_size=len(prompts),
        max_new_tokens=options.tokens,
        beam_search=settings.get("beam_search"),
        sampling=settings.get("sampling"),
        processors=ProcessorParams(
            repetition_penalty=None,
            ngram_block=settings.get("ngram_block"),
            word_block=None,
            min_length=None,
        ),
    )
    begin = time.perf_counter()
    found = generate(model, prompts, params, (), 2)
    seconds = time.perf_counter() - begin
    said["retune"] = [some[0].tokens for some in found]
    return options.tokens * len(prompts) / seconds


def _generate_rate(
    model: GPT2LMHeadModel,
    prompts: Prompts,
    options: argparse.Namespace,
    settings: Mapping[str, Any],
    said: dict[str, Prompts],
) -> float:
    torch.manual_seed(2)
    begin = time.perf_counter()
    tokens, mask = _rectangle(prompts)
    output = model.generate(
        tokens,
        attention_mask=mask,
        pad_token_id=0,
        max_new_tokens=options.tokens,
        **settings,
    )
    seconds = time.perf_counter() - begin
    said["generate"] = output[:, tokens.shape[1] :].tolist()
    return options.tokens * len(prompts) / seconds


def _rectangle(prompts: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    longest = max(map(len, prompts))
    rows = [[0] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
    tokens = torch.tensor(rows)
    return tokens, (tokens != 0).long()


if __name__ == "__main__":
    main()
