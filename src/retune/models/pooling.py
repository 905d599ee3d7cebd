"""One vector of a text's many."""

from torch import Tensor


def masked_mean(vectors: Tensor, mask: Tensor) -> Tensor:
    """Means (B, H) of the vectors (B, T, H) where `mask` (B, T) is 1; 0 where it never is."""
    real = mask[..., None].to(vectors.dtype)
    return (vectors * real).sum(dim=1) / real.sum(dim=1).clamp(min=1.0)
