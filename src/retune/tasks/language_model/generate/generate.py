"""Stage `generate`: continue the first sentence of each validation text."""

import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retune.core.files import atomic_path, write_json_lines
from retune.processes.share import ALONE, Share
from retune.tasks.language_model.generate.decoding import Continuation
from retune.tasks.language_model.generate.generation import GenerationParams, best_continuations
from retune.tasks.language_model.generate.text_generator import TextGenerator, load_text_generator
from retune.tasks.language_model.outputs.records import (
    CONTINUATIONS,
    ReferencePair,
    of_pairs,
    read_pairs,
)
from retune.tasks.language_model.texts.prompts import check_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def write_continuations(
    features: Path,
    model: "PreTrainedModel",
    generated: Path,
    params: GenerationParams,
    seed: int,
    share: Share = ALONE,
) -> str:
    """Continue the prompts of `features`; write the folder `generated`.

    The best continuation of each prompt is kept. `seed` is the seed of sampling. Several processes
    share out the batches, and the first one writes.

    Raises:
        RetuneError: a prompt cannot be read or continued, or the tokenizer is not the model's.
    """
    pairs = read_pairs(features)
    generator = load_text_generator(model, features / "tokenizer", share)
    prompts = [pair.prompt_tokens for pair in pairs]
    with of_pairs(features):
        check_tokens(model, prompts, "prompt", more=params.max_new_tokens)
    found = best_continuations(generator, prompts, params, seed)
    if not share.is_first:
        return ""
    with atomic_path(generated) as folder:
        folder.mkdir(parents=True)
        rows = (_row(generator, *each) for each in zip(pairs, found, strict=True))
        write_json_lines(folder / CONTINUATIONS, rows)
    lengths = statistics.fmean(len(each.tokens) for each in found)
    ended = sum(map(generator.has_ended, found))
    mean = statistics.fmean(each.mean_log_probability for each in found)
    return (
        f"{len(found):,} continuations of {lengths:.1f} tokens, {ended:,} came to their end, "
        f"mean log-probability of a token {mean:.3f}"
    )


def _row(generator: TextGenerator, pair: ReferencePair, found: Continuation) -> dict[str, Any]:
    return {
        "id": pair.id,
        "text": generator.text(found),
        "tokens": found.tokens,
        "log_probabilities": found.log_probabilities,
        "log_probability": found.log_probability,
        "mean_log_probability": found.mean_log_probability,
        "ended": generator.has_ended(found),
    }
