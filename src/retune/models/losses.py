"""Cross-entropy of labels, of which some count for nothing, over parts of joint batches."""

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

#: The label of a piece that has none, which a loss ignores.
NO_LABEL = -100


def label_count(labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Count the labels, those of `NO_LABEL` left out; with `weights` (C,), each by its class's."""
    counted = labels != NO_LABEL
    if weights is None:
        return counted.sum()
    return (weights[labels.clamp(min=0)] * counted).sum()


def mean_loss(
    logits: Tensor, labels: Tensor, count: Tensor, weights: Tensor | None = None
) -> Tensor:
    """Cross-entropy of logits (N, C) for labels (N,), those of `NO_LABEL` left out.

    What a part of a joint batch adds to the batch's mean, which is weighted by class where there
    are `weights` (C,); `count` is the `label_count` of the whole batch.
    """
    return loss_sum(logits, labels, weights) / count.masked_fill(count == 0, 1)


def loss_sum(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Sum the cross-entropies of `mean_loss`, in float32."""
    return F.cross_entropy(logits.float(), labels, weights, reduction="sum", ignore_index=NO_LABEL)
