"""Learn a byte-pair tokenizer from the training texts.

Sennrich et al., Neural Machine Translation of Rare Words with Subword Units (ACL 2016), over
bytes as in Radford et al., Language Models are Unsupervised Multitask Learners (2019). The same
texts give the same tokenizer: of equally frequent pairs, the one that was found first is merged
first.
"""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from retune.core.errors import RetuneError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

#: Token 0: it ends each text.
END_OF_TEXT = "<|endoftext|>"
#: Each byte, and the end of text.
SMALLEST = 257


def learn_tokenizer(
    texts: Iterable[str], size: int, min_frequency: int
) -> "PreTrainedTokenizerFast":
    """Learn a tokenizer of at most `size` tokens, in the form of GPT-2's.

    Args:
        texts: to learn from.
        size: of the vocabulary; texts with fewer pairs give a smaller one.
        min_frequency: how often a pair must occur to become a token.

    Raises:
        RetuneError: `size` is too small for all bytes.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import GPT2Tokenizer, PreTrainedTokenizerFast

    if size < SMALLEST:
        raise RetuneError(
            f"language_model.tokenize.vocabulary_size: {size} is less than {SMALLEST}, one for "
            f"each byte and {END_OF_TEXT}; raise it"
        )
    learned = Tokenizer(models.BPE())
    learned.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=min_frequency,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    learned.train_from_iterator(texts, trainer)
    model = json.loads(learned.to_str())["model"]  # the only source of the pairs' order
    merges: Any = [tuple(pair) for pair in model["merges"]]
    return cast(PreTrainedTokenizerFast, GPT2Tokenizer(vocab=model["vocab"], merges=merges))
