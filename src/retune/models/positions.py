"""How many positions a model has for the tokens of a text, and which is the first."""

from typing import TYPE_CHECKING

from retune.core.errors import RetuneError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def max_positions(model: "PreTrainedModel") -> int | None:
    """The most tokens T that a text may have; None where there is no limit."""
    size: int | None = getattr(model.config, "max_position_embeddings", None)
    if size is None or size < 0:  # XLNet, whose positions are relative, says -1
        return None
    return size - first_position(model)


def require_positions(model: "PreTrainedModel", length: int, setting: str) -> None:
    """Check that `model` can read inputs of `length` tokens, which a `setting` allows.

    Raises:
        RetuneError: it has fewer positions.
    """
    positions = max_positions(model)
    if positions is not None and length > positions:
        raise RetuneError(
            f"{setting}: {length} tokens are more than the {positions} positions of the model; "
            "lower it"
        )


def first_position(model: "PreTrainedModel") -> int:
    """The position of a text's first token: 0, but in RoBERTa behind the padding's own."""
    for name, module in model.named_modules():
        padding = getattr(module, "padding_idx", None)
        if name.endswith("position_embeddings") and padding is not None:
            return int(padding) + 1
    return 0
