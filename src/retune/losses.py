"""Cross-entropy of labels, of which some count for nothing, over parts of joint batches."""

from collections.abc import Callable

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

#: The label of a piece that has none, which a loss ignores.
NO_LABEL = -100


def mean_loss(logits: Tensor, labels: Tensor, joint: Callable[[Tensor], Tensor]) -> Tensor:
    """Cross-entropy of logits (N, C) for labels (N,), those of `NO_LABEL` left out.

    What a part of a joint batch adds to the batch's mean; `joint` makes of the number of labels
    in the part that of the whole.
    """
    count = joint((labels != NO_LABEL).sum())
    return loss_sum(logits, labels) / count.clamp(min=1)


def loss_sum(logits: Tensor, labels: Tensor) -> Tensor:
    """The sum of the cross-entropies of `mean_loss`, in float32."""
    return F.cross_entropy(logits.float(), labels, reduction="sum", ignore_index=NO_LABEL)
