"""Stage `perplexity`: compute the likelihood of validation texts and their second sentences.

It depends on the model only, not on the decoding method, so there is one for each state.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic.dataclasses import dataclass

from retune.core.files import atomic_path, write_json, write_json_lines
from retune.core.params import STRICT, Positive
from retune.models.positions import require_positions
from retune.processes.share import ALONE, Share
from retune.tasks.language_model.generate.text_generator import load_text_generator
from retune.tasks.language_model.outputs.likelihoods import perplexity
from retune.tasks.language_model.outputs.records import (
    PAIRS,
    TEXTS,
    likelihood_rows,
    of_pairs,
    read_pairs,
    read_texts,
)
from retune.tasks.language_model.perplexity.scores import (
    continuation_likelihoods,
    text_likelihoods,
)

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True, config=STRICT)
class PerplexityParams:
    """Section `language_model.perplexity`.

    Whole texts are read in windows of `window` tokens, each `stride` tokens after the last.
    """

    window: Positive
    stride: Positive
    batch_size: Positive

    def __post_init__(self) -> None:
        """Refuse windows that do not overlap."""
        if self.stride >= self.window:
            raise ValueError(
                f"a stride of {self.stride} leaves windows of {self.window} tokens nothing in "
                "common; lower it"
            )


def write_perplexities(
    features: Path,
    model: "PreTrainedModel",
    likelihoods: Path,
    metrics: Path,
    params: PerplexityParams,
    share: Share = ALONE,
) -> str:
    """Read the validation split of `features`; write the folder `likelihoods`, and `metrics`.

    A second sentence is read after the first one, which does not count. All tokens have the same
    weight. Several processes share out the batches, and the first one writes.

    Raises:
        RetuneError: a pair or the window is longer than the model's context.
    """
    generator = load_text_generator(model, features / "tokenizer", share)
    pairs, texts = read_pairs(features), read_texts(features)
    with of_pairs(features):
        sequences = [(pair.prompt_tokens, pair.continuation_tokens) for pair in pairs]
        second = continuation_likelihoods(generator.model, sequences, params.batch_size, share)
    require_positions(generator.model, params.window, "language_model.perplexity.window")
    whole = text_likelihoods(
        generator.model, [tokens for _, tokens in texts], params.window, params.stride,
        params.batch_size, share,
    )  # fmt: skip
    if not share.is_first:
        return ""
    with atomic_path(likelihoods) as folder:
        folder.mkdir(parents=True)
        write_json_lines(folder / PAIRS, likelihood_rows((pair.id for pair in pairs), second))
        write_json_lines(folder / TEXTS, likelihood_rows((id_ for id_, _ in texts), whole))
    values = {
        "continuation_perplexity": perplexity(second),
        "text_perplexity": perplexity(whole),
    }
    details = {
        "pairs": len(second),
        "continuation_tokens": sum(each.tokens for each in second),
        "texts": len(whole),
        "text_tokens": sum(each.tokens for each in whole),
    }
    write_json(metrics, {"language_model": {**values, "details": [details]}})
    return (
        f"perplexity {values['continuation_perplexity']:.3f} of {len(second):,} second sentences, "
        f"{values['text_perplexity']:.3f} of {len(whole):,} texts"
    )
