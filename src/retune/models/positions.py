"""The number of positions that a model has for tokens, and the first of them."""

from typing import TYPE_CHECKING

from retune.core.errors import RetuneError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def max_positions(model: "PreTrainedModel") -> int | None:
    """The most tokens that an input may have; None without a limit."""
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
    """The position of the first token: 0, but in RoBERTa the one after the padding's position."""
    for name, module in model.named_modules():
        padding = getattr(module, "padding_idx", None)
        if name.endswith("position_embeddings") and padding is not None:
            return int(padding) + 1
    return 0
