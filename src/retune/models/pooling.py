"""Pooling of token vectors to one vector a text."""

from torch import Tensor


def masked_mean(vectors: Tensor, mask: Tensor) -> Tensor:
    """Means (B, H) of the vectors (B, T, H) where `mask` (B, T) is 1; 0 for an empty mask."""
    real = mask[..., None].to(vectors.dtype)
    return (vectors * real).sum(dim=1) / real.sum(dim=1).clamp(min=1.0)
