"""A language model with its tokenizer: it continues texts."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from retune.core.errors import RetuneError
from retune.models.outputs import on_best_device
from retune.models.pretrained_files import DECODER_TOKENS, load_tokenizer
from retune.models.tokenizer_checks import id_count
from retune.processes.share import ALONE, Share
from retune.tasks.language_model.generate.pieces import Piece, pieces
from retune.tasks.language_model.texts.prompts import Tokens, vocabulary_size

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from retune.tasks.language_model.generate.decoding import Continuation


class TextGenerator(NamedTuple):
    """A causal language model and the tokenizer that it was trained with.

    Several processes compute its batches together, each its `share`.
    """

    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerFast"
    share: Share = ALONE

    @property
    def ends(self) -> list[int]:
        """The token of end of text, which ends a continuation."""
        return [int(self.tokenizer.eos_token_id)]

    def read(self, text: str) -> list[int]:
        """The tokens of a text, without special ones; "<|endoftext|>" in it is text."""
        found = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)
        return list(found["input_ids"])

    def decode(self, tokens: list[int]) -> str:
        """The text of tokens; an end-of-text token is kept."""
        return str(
            self.tokenizer.decode(
                tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False
            )
        )

    def has_ended(self, found: "Continuation") -> bool:
        """Whether a continuation ended, and was not cut."""
        return found.tokens[-1] in self.ends

    def text(self, found: "Continuation") -> str:
        """The text of a continuation, without the token that ends it."""
        return self.decode(found.tokens[:-1] if self.has_ended(found) else found.tokens)

    def pieces(self, prompt: Tokens, found: "Continuation") -> list[Piece]:
        """The text of a continuation in pieces; the last one is the token that ends it."""
        return pieces(self.decode, prompt, found.tokens, found.probabilities)


def load_text_generator(
    model: "PreTrainedModel", tokenizer_folder: Path, share: Share = ALONE
) -> TextGenerator:
    """Move `model` to the GPU, if there is one, and load the tokenizer in a folder.

    Raises:
        RetuneError: the folder has no tokenizer, or one with tokens that the model lacks.
    """
    tokenizer = load_tokenizer(tokenizer_folder, DECODER_TOKENS)
    if vocabulary_size(model) < id_count(tokenizer):
        raise RetuneError(
            f"the model knows {vocabulary_size(model)} tokens, but the tokenizer in "
            f"{tokenizer_folder} has {id_count(tokenizer)}; use the tokenizer that the model was "
            "trained with"
        )
    return TextGenerator(on_best_device(model), tokenizer, share)
