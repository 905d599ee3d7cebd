import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from retune.tasks.qa.predict.transformer_layer import EncoderLayer, key_mask


@pytest.mark.parametrize("norm_first", [False, True])
def test_a_layer_equals_pytorchs_own(norm_first: bool) -> None:
    torch.manual_seed(0)
    theirs = nn.TransformerEncoderLayer(
        12, 3, 20, 0.0, F.gelu, batch_first=True, norm_first=norm_first
    )
    ours = EncoderLayer(12, 3, 20, 0.0, activation=F.gelu, norm_first=norm_first)
    names = {
        "self_attn.in_proj_": "attention.input.",
        "self_attn.out_proj.": "attention.output.",
        "linear1.": "enter.",
        "linear2.": "leave.",
    }
    state = theirs.state_dict()
    for old, new in names.items():
        state = {name.replace(old, new): weight for name, weight in state.items()}
    ours.load_state_dict(state)
    states = torch.randn(2, 7, 12)
    real = torch.arange(7) < torch.tensor([[7], [4]])
    expected = theirs(states, src_key_padding_mask=~real)
    found = ours(states, key_mask(real), None)
    torch.testing.assert_close(found[real], expected[real])


def test_weights_start_as_pytorchs_own() -> None:
    torch.manual_seed(0)
    theirs = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)
    ours = EncoderLayer(64, 4, 128, 0.1)
    expected = theirs.self_attn.in_proj_weight
    assert ours.attention.input.weight.std().item() == pytest.approx(
        expected.std().item(), rel=0.05
    )
    assert ours.attention.input.weight.abs().max() <= expected.abs().max() * 1.01
    assert not ours.attention.input.bias.any()
    assert not ours.attention.output.bias.any()
