import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from retune.models.dropout import keep_rate
from retune.tasks.qa.predict.attention import Packing, attend, packed_attention

PACKING = Packing((3, 5, 1), (4, 5, 2))
TOKENS, HEADS, SIZE = 11, 2, 4


def rows(dtype: torch.dtype = torch.float64) -> list[Tensor]:
    torch.manual_seed(0)
    shape = TOKENS, HEADS, SIZE
    return [torch.randn(shape, dtype=dtype, requires_grad=True) for _ in range(3)]


def by_hand(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """Softmax of products, one window, head and token at a time; real tokens only."""
    output = torch.zeros_like(query)
    for place, length in PACKING.spans():
        real = slice(place.start, place.start + length)
        for token in range(place.start, place.stop):
            for head in range(HEADS):
                weights = (key[real, head] @ query[token, head] * scale).softmax(dim=0)
                output[token, head] = weights @ value[real, head]
    return output


def test_each_token_attends_to_the_real_tokens_of_its_window() -> None:
    query, key, value = rows()
    with torch.no_grad():
        expected = by_hand(query, key, value, 0.3)
    torch.testing.assert_close(attend(query, key, value, PACKING, 0.3), expected)


def test_gradients_are_those_of_the_function() -> None:
    assert torch.autograd.gradcheck(lambda *qkv: attend(*qkv, PACKING, 0.5), rows())


def test_gradients_with_dropout_are_those_of_the_function_with_that_mask() -> None:
    def seeded(*qkv: Tensor) -> Tensor:
        torch.manual_seed(7)
        return attend(*qkv, PACKING, 0.5, 0.4)

    assert torch.autograd.gradcheck(seeded, rows())


def test_dropout_zeroes_weights_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    size = 40
    query, key = torch.zeros(2, size, 1, 1)
    value = torch.ones(size, 1, 1)
    packing = Packing((size,), (size,))
    outputs = torch.stack([attend(query, key, value, packing, 1.0, 0.25) for _ in range(500)])
    # Every weight is 1/40: an output counts the kept ones.
    kept = outputs * size * keep_rate(0.25)
    torch.testing.assert_close(kept, kept.round(), atol=1e-3, rtol=0)
    assert outputs.mean().item() == pytest.approx(1.0, abs=0.01)


def test_without_gradients_nothing_is_kept_for_them() -> None:
    query, key, value = rows()
    with torch.no_grad():
        output = attend(query, key, value, PACKING, 0.5)
    assert output.grad_fn is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autocast_leaves_the_type_alone(dtype: torch.dtype) -> None:
    query, key, value = rows(dtype)
    with torch.autocast("cpu", torch.bfloat16):
        output = attend(query, key, value, PACKING, 0.5, 0.1)
        assert output.dtype == dtype
        output.sum().backward()
    assert query.grad is not None
    assert query.grad.dtype == dtype


def test_without_packing_it_is_attention_of_padded_windows() -> None:
    query, key, value = torch.randn(3, 2, HEADS, 6, SIZE)
    mask = torch.ones(2, 1, 1, 6, dtype=torch.bool)
    mask[1, :, :, 4:] = False
    output, weights = packed_attention(nn.Identity(), query, key, value, mask)
    expected = F.scaled_dot_product_attention(query, key, value, mask).transpose(1, 2)
    torch.testing.assert_close(output, expected)
    assert weights is None


@pytest.mark.parametrize("mask", [None, torch.ones(2, 1, 1, 6, dtype=torch.bool)])
def test_padded_windows_without_padding_keep_local_attention(mask: Tensor | None) -> None:
    query, key, value = torch.randn(3, 2, HEADS, 6, SIZE)
    places = torch.arange(6)
    near = (places[:, None] - places).abs() < 3
    given = None if mask is None else mask & near  # transformers' mask has both
    output, _ = packed_attention(nn.Identity(), query, key, value, given, sliding_window=3)
    expected = F.scaled_dot_product_attention(query, key, value, near).transpose(1, 2)
    torch.testing.assert_close(output, expected)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_tokens_at_the_distance_of_the_sliding_window_do_not_see_each_other(size: int) -> None:
    query, key, value = rows()
    found = attend(query, key, value, PACKING, 0.5, sliding_window=size)
    expected = torch.zeros_like(found)
    for place, length in PACKING.spans():
        for token in range(length):
            near = slice(
                place.start + max(0, token - size + 1), place.start + min(length, token + size)
            )
            for head in range(HEADS):
                scores = key[near, head] @ query[place.start + token, head] * 0.5
                expected[place.start + token, head] = scores.softmax(dim=0) @ value[near, head]
    real = torch.cat([torch.arange(p.start, p.start + n) for p, n in PACKING.spans()])
    torch.testing.assert_close(found[real], expected[real])
    assert found.isfinite().all()  # tokens of padding, too, from which the next layer computes


def test_gradients_of_local_attention_and_of_a_bias_are_those_of_the_function() -> None:
    assert torch.autograd.gradcheck(
        lambda *qkv: attend(*qkv, PACKING, 0.5, sliding_window=2), rows()
    )
    bias = torch.randn(HEADS, TOKENS, TOKENS, dtype=torch.float64, requires_grad=True)
    window = Packing((TOKENS - 2,), (TOKENS,))
    assert torch.autograd.gradcheck(
        lambda bias, *qkv: attend(*qkv, window, 0.5, bias=bias), [bias, *rows()]
    )


def test_heads_of_queries_may_share_keys_and_values() -> None:
    query = torch.randn(1, 2 * HEADS, TOKENS, SIZE)
    key, value = torch.randn(2, 1, HEADS, TOKENS, SIZE)
    found, _ = packed_attention(nn.Identity(), query, key, value, None, packing=PACKING)
    for head in range(2 * HEADS):
        pair = (tensor[:, head // 2 : head // 2 + 1] for tensor in (key, value))
        alone, _ = packed_attention(
            nn.Identity(), query[:, head : head + 1], *pair, None, packing=PACKING
        )
        torch.testing.assert_close(found[:, :, head], alone[:, :, 0])


def test_other_kinds_of_attention_are_refused_for_packed_windows() -> None:
    query, key, value = torch.randn(3, 1, HEADS, TOKENS, SIZE)
    with pytest.raises(TypeError, match="packed windows cannot have softcap=50"):
        packed_attention(nn.Identity(), query, key, value, None, packing=PACKING, softcap=50)
