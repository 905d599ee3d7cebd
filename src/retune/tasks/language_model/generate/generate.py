"""Stage `generate`: what a model says after the first sentence of each validation text."""

import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retune.core.files import atomic_path, write_json_lines
from retune.tasks.language_model.generate.decoding import Continuation
from retune.tasks.language_model.generate.generation import GenerationParams, best_continuations
from retune.tasks.language_model.generate.text_generator import Speaker, speaker
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
    features: Path, model: "PreTrainedModel", generated: Path, params: GenerationParams, seed: int
) -> str:
    """Continue the prompts of `features`; write the folder `generated`.

    Of several continuations the best one is kept. Sampling draws by `seed`.

    Raises:
        RetuneError: a prompt cannot be read or continued, or the tokenizer is not the model's.
    """
    pairs, voice = read_pairs(features), speaker(model, features / "tokenizer")
    prompts = [pair.prompt_tokens for pair in pairs]
    with of_pairs(features):
        check_tokens(model, prompts, "prompt", more=params.max_new_tokens)
    found = best_continuations(voice, prompts, params, seed)
    with atomic_path(generated) as folder:
        folder.mkdir(parents=True)
        rows = (_row(voice, *each) for each in zip(pairs, found, strict=True))
        write_json_lines(folder / CONTINUATIONS, rows)
    lengths = statistics.fmean(len(each.tokens) for each in found)
    ended = sum(map(voice.has_ended, found))
    mean = statistics.fmean(each.mean_log_probability for each in found)
    return (
        f"{len(found):,} continuations of {lengths:.1f} tokens, {ended:,} came to their end, "
        f"mean log-probability of a token {mean:.3f}"
    )


def _row(voice: Speaker, pair: ReferencePair, found: Continuation) -> dict[str, Any]:
    return {
        "id": pair.id,
        "text": voice.text(found),
        "tokens": found.tokens,
        "log_probabilities": found.log_probabilities,
        "log_probability": found.log_probability,
        "mean_log_probability": found.mean_log_probability,
        "ended": voice.has_ended(found),
    }
