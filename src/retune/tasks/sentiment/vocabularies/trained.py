"""A byte-pair vocabulary trained on the train texts (Sennrich et al. 2016), cased or uncased.

It is for models without a pretrained encoder. Two vocabularies that only differ in `cased` show
what upper case contributes. WordPiece is not used, because `tokenizers` numbers its pieces in the
order of a hash table, so that each training gives another vocabulary.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from retune.core.params import STRICT
from retune.models.pretrained_files import PretrainedParams

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_SPECIALS = ("[PAD]", "[CLS]", "[SEP]")
#: A text may be as long as it is: models with this vocabulary have no positions to run out of.
_LONGEST = 1_000_000


@dataclass(frozen=True, config=STRICT)
class Params:
    """Section `sentiment.vocabularies.trained`.

    `size` is the number of pieces, each byte included; short texts give fewer. Without `cased`,
    texts are lowercased and lose their accents, as in BERT's uncased models.
    """

    size: Annotated[int, Field(ge=256 + len(_SPECIALS))]
    cased: bool


def tokenizer(
    params: Params, pretrained: PretrainedParams, texts: Iterable[str]
) -> "PreTrainedTokenizerFast":
    """Train a tokenizer on `texts`; the same texts give the same one. `pretrained` is not used."""
    del pretrained
    from tokenizers import (
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        processors,
        trainers,
    )
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.normalizer = normalizers.BertNormalizer(lowercase=not params.cased)
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=params.size,
        special_tokens=list(_SPECIALS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    cls, sep = _SPECIALS.index("[CLS]"), _SPECIALS.index("[SEP]")  # special tokens come first
    backend.post_processor = processors.BertProcessing(("[SEP]", sep), ("[CLS]", cls))
    names = {f"{token.strip('[]').lower()}_token": token for token in _SPECIALS}
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, model_max_length=_LONGEST, padding_side="right", **names
    )
