"""Augmentation by back-translation: into another language and back, as notebook N4 did.

Each pivot language is two MarianMT checkpoints, pinned as any other, of one language into one.
The tokenizer is read from tokenizer.json or, where `sentencepiece` is installed, from the
SentencePiece files that most of them have on the hub. What was translated once is kept in the
user's cache (RETUNE_CACHE) under the revision of the checkpoint, and of a folder its tokenizer, so
that a second run translates nothing.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from retune.core.params import STRICT, Positive
from retune.models.checkpoints import CheckpointParams
from retune.tasks.sentiment.augmenting._translating import Decoding, translated
from retune.tasks.sentiment.texts.examples import Example

_SECTION = "sentiment.augment.methods.back_translation.pivots"
_Language = Annotated[str, Field(pattern=r"^[a-z]+(_[a-z]+)*$")]


@dataclass(frozen=True, config=STRICT)
class Pivot:
    """The checkpoints that translate into a language and out of it."""

    there: CheckpointParams
    back: CheckpointParams


@dataclass(frozen=True, config=STRICT)
class Params:
    """Section `sentiment.augment.methods.back_translation`.

    One candidate a sentence comes of each of the `pivots`, by name of their language. `beams`
    is 1 for greedy search. Sentences and translations of more than `max_length` tokens, the end
    included, are left out, and counted as empty.
    """

    pivots: Annotated[dict[_Language, Pivot], Field(min_length=1)]
    beams: Positive
    batch_size: Positive
    max_length: Positive


def augmented(examples: Sequence[Example], params: Params) -> Iterator[Example]:
    """What each sentence becomes by way of each language; "" where nothing came back."""
    decoding = Decoding(params.beams, params.batch_size, params.max_length)
    for language, pivot in params.pivots.items():
        place = f"{_SECTION}.{language}"
        texts = {example.text for example in examples}
        there = translated(texts, pivot.there, f"{place}.there", decoding)
        foreign = {there[text] for text in texts} - {""}
        back = {"": ""} | translated(foreign, pivot.back, f"{place}.back", decoding)
        method = f"back_translation_{language}"
        for example in examples:
            text = back[there[example.text]]
            yield Example(f"{example.id}-{method}", text, example.label, example.id, method)
