"""Cross-entropy over parts of joint batches; some labels are ignored."""

import math

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

#: The label of a piece that has none, which a loss ignores.
NO_LABEL = -100
#: The exponential of a larger loss would not be finite.
_LARGEST_LOSS = 700.0


def perplexity(loss: float) -> float:
    """The perplexity of a mean loss of tokens, capped to stay finite."""
    return math.exp(min(loss, _LARGEST_LOSS))


def label_count(labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Count the labels except `NO_LABEL`; with `weights` (C,), by the weights of their classes."""
    counted = labels != NO_LABEL
    if weights is None:
        return counted.sum()
    return (weights.to(labels.device)[labels.clamp(min=0)] * counted).sum()


def mean_loss(
    logits: Tensor, labels: Tensor, count: Tensor, weights: Tensor | None = None
) -> Tensor:
    """What a part of a joint batch adds to the batch's mean cross-entropy.

    Args:
        logits: (N, C).
        labels: (N,); `NO_LABEL` is ignored.
        count: `label_count` of the whole batch.
        weights: (C,) of the classes; the mean is then weighted.
    """
    return loss_sum(logits, labels, weights) / count.masked_fill(count == 0, 1)


def loss_sum(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Sum the cross-entropies of `mean_loss`, in float32."""
    weights = None if weights is None else weights.to(logits.device)
    return F.cross_entropy(logits.float(), labels, weights, reduction="sum", ignore_index=NO_LABEL)
