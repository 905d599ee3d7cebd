"""Augmentation by back-translation into another language and back, as in notebook N4.

Each pivot language needs two MarianMT models, pinned like other models, for one language each.
The tokenizer is read from tokenizer.json or, where `sentencepiece` is installed, from the
SentencePiece files that most of them have on the hub. Translations are kept in the user's cache
(RETUNE_CACHE) under the revision of the model, so that a second run translates nothing. For a model
in a folder its tokenizer counts, too.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from retune.core.params import STRICT, Positive
from retune.models.pretrained_files import PretrainedParams
from retune.tasks.sentiment.augmenting._translating import Decoding, translated
from retune.tasks.sentiment.texts.examples import Example

_SECTION = "sentiment.augment.methods.back_translation.pivots"
_Language = Annotated[str, Field(pattern=r"^[a-z]+(_[a-z]+)*$")]


@dataclass(frozen=True, config=STRICT)
class Pivot:
    """The models that translate into a language and out of it."""

    there: PretrainedParams
    back: PretrainedParams


@dataclass(frozen=True, config=STRICT)
class Params:
    """Section `sentiment.augment.methods.back_translation`.

    Each of the `pivots`, named by language, makes one candidate per sentence. `beams: 1` is greedy
    search. Sentences and translations of more than `max_length` tokens, the end included, are left
    out and counted as empty.
    """

    pivots: Annotated[dict[_Language, Pivot], Field(min_length=1)]
    beams: Positive
    batch_size: Positive
    max_length: Positive


def augmented(examples: Sequence[Example], params: Params) -> Iterator[Example]:
    """Yield each sentence as each language returns it; "" if there is no translation."""
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
