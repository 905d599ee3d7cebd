"""Moves of embeddings along a gradient: their length, their direction and what they do."""

import pytest
import torch
from torch import Tensor, nn

from retune.training.adversarial import (
    perturbed_embeddings,
    recorded_embeddings,
    worst_perturbation,
)

IDS = torch.tensor([[1, 2, 3], [4, 2, 0]])


def loss(embedding: nn.Embedding, head: nn.Linear) -> Tensor:
    """A loss of each text that is linear in its embeddings."""
    total: Tensor = head(embedding(IDS).flatten(1)).sum()
    return total


@pytest.fixture
def parts() -> tuple[nn.Embedding, nn.Linear]:
    torch.manual_seed(1)
    return nn.Embedding(5, 4), nn.Linear(12, 1)


def test_each_text_moves_by_the_same_length_along_its_gradient() -> None:
    gradient = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(1))
    change = worst_perturbation(gradient, 0.25)
    assert torch.allclose(change.flatten(1).norm(dim=1), torch.full((3,), 0.25))
    assert torch.allclose(
        torch.cosine_similarity(change.flatten(1), gradient.flatten(1)), torch.ones(3)
    )


@pytest.mark.parametrize("value", [0.0, torch.inf, torch.nan])
def test_a_text_without_a_gradient_that_is_a_number_does_not_move(value: float) -> None:
    gradient = torch.ones(2, 3, 4)
    gradient[0] = 0.0
    gradient[0, 1, 2] = value
    change = worst_perturbation(gradient, 1.0)
    assert change[0].eq(0).all()
    assert change[1].norm().item() == pytest.approx(1.0)


@pytest.mark.parametrize("is_frozen", [False, True])
def test_the_loss_rises_as_the_gradient_says(
    parts: tuple[nn.Embedding, nn.Linear], is_frozen: bool
) -> None:
    embedding, head = parts
    embedding.requires_grad_(not is_frozen)
    with recorded_embeddings(embedding) as calls:
        before = loss(embedding, head)
        before.backward()  # type: ignore[no-untyped-call]
    (call,) = calls
    assert call.inputs is IDS
    assert call.embeddings.grad is not None
    with perturbed_embeddings(embedding, worst_perturbation(call.embeddings.grad, 0.5)):
        after = loss(embedding, head)
    rise = 2 * 0.5 * head.weight.norm()  # of two texts, each with the head's weights as gradient
    assert after.item() == pytest.approx((before + rise).item(), rel=1e-5)
    assert loss(embedding, head).item() == before.item()
