"""Stage `start`: write the model before its training, to compare it with the trained model."""

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from retune.core.files import atomic_path, remove
from retune.models.positions import max_positions, require_positions
from retune.models.pretrained_files import DECODER_TOKENS, load_tokenizer
from retune.models.tokenizer_checks import id_count
from retune.tasks.language_model.texts.features import read_blocks
from retune.training.seeding import seed_everything

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


class Build(Protocol):
    """Makes a model, with new weights where no pretrained ones are given."""

    def __call__(self, *, tokenizer: "PreTrainedTokenizerFast") -> "PreTrainedModel":
        """Build the model on the CPU, in float32."""
        ...


def start(features: Path, before: Path, *, build: Build, seed: int) -> str:
    """Write the model that `build` makes for the blocks of `features` to the folder `before`.

    Raises:
        RetuneError: the model cannot read blocks of that size, or `build` fails.
    """
    tokenizer = load_tokenizer(features / "tokenizer", DECODER_TOKENS)
    size = read_blocks(features / "train.arrow", id_count(tokenizer)).shape[1]
    seed_everything(seed)  # before building, because weights that are not pretrained are random
    model = build(tokenizer=tokenizer)
    require_positions(model, size, "language_model.tokenize.block_size")
    model.config.name_or_path = ""  # a path of this machine has no place in the output
    with atomic_path(before) as folder:
        model.save_pretrained(folder)
        remove(folder / "generation_config.json")  # generation has params of its own
        tokenizer.save_pretrained(folder)
    positions = max_positions(model)
    context = "" if positions is None else f", {positions:,} positions"
    return f"{model.num_parameters():,} parameters{context}, {id_count(tokenizer):,} tokens"
