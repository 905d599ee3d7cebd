import math

import pytest
import torch
from torch import nn

from retune.models.dropout import Dropout, keep_mask, keep_rate, use_fast_dropout


@pytest.mark.parametrize("p", [0.05, 0.1, 0.5, 0.9])
def test_the_rate_is_the_one_asked_for(p: float) -> None:
    torch.manual_seed(0)
    count = 400_000
    dropped = 1 - keep_mask(torch.empty(count), p).mean().item()
    assert abs(dropped - p) < 5 * math.sqrt(p * (1 - p) / count)
    assert abs(1 - keep_rate(p) - p) <= 2**-17


def test_elements_are_dropped_independently() -> None:
    torch.manual_seed(0)
    dropped = 1 - keep_mask(torch.empty(400_000), 0.3)
    for distance in (1, 2, 3, 4, 8):
        both = (dropped[distance:] * dropped[:-distance]).mean().item()
        assert abs(both - 0.09) < 0.003


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("shape", [(), (1,), (3, 5), (2, 3, 4)])
def test_a_mask_has_shape_and_type_of_its_model(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    mask = keep_mask(torch.empty(shape, dtype=dtype), 0.5)
    assert mask.shape == shape
    assert mask.dtype == dtype
    assert set(mask.flatten().tolist()) <= {0.0, 1.0}


def test_kept_elements_are_scaled_so_that_the_mean_stays() -> None:
    torch.manual_seed(0)
    values = Dropout(0.1)(torch.ones(400_000))
    assert values.unique().tolist() == pytest.approx([0.0, 1 / keep_rate(0.1)])
    assert values.mean().item() == pytest.approx(1.0, abs=0.003)


def test_the_gradient_passes_where_elements_were_kept() -> None:
    torch.manual_seed(0)
    values = torch.randn(7, 9, requires_grad=True)
    output = Dropout(0.4)(values)
    output.sum().backward()
    assert values.grad is not None
    torch.testing.assert_close(values.grad * values, output)


def test_torchs_seed_decides_and_its_state_restores() -> None:
    layer, values = Dropout(0.5), torch.ones(1000)
    torch.manual_seed(3)
    first, state = layer(values), torch.get_rng_state()
    second = layer(values)
    torch.set_rng_state(state)
    assert torch.equal(layer(values), second)
    torch.manual_seed(3)
    assert torch.equal(layer(values), first)
    assert not torch.equal(first, second)


@pytest.mark.parametrize(("p", "training"), [(0.0, True), (0.5, False)])
def test_without_anything_to_drop_no_random_number_is_drawn(p: float, training: bool) -> None:
    state = torch.get_rng_state()
    values = torch.randn(5)
    state = torch.get_rng_state()
    assert torch.equal(Dropout(p).train(training)(values), values)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_rate_of_one_drops_everything() -> None:
    assert torch.equal(Dropout(1.0)(torch.ones(8)), torch.zeros(8))


def test_every_dropout_of_a_model_is_replaced_and_no_other_layer() -> None:
    model = nn.Sequential(nn.Dropout(0.2), nn.Linear(2, 2), nn.Sequential(nn.Dropout(0.3)))
    names = set(model.state_dict())
    use_fast_dropout(model)
    rates = [layer.p for layer in model.modules() if type(layer) is Dropout]
    assert rates == [0.2, 0.3]
    assert not any(type(layer) is nn.Dropout for layer in model.modules())
    assert set(model.state_dict()) == names
