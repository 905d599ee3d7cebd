import pytest
import torch

from retune.models.recurrent import LSTM, BidirectionalLSTM


@pytest.fixture(params=[False, True])
def supported(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the processor has bfloat16 for LSTMs."""
    monkeypatch.setattr(
        torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: request.param, raising=False
    )
    return bool(request.param)


def test_bfloat16_is_left_to_processors_that_have_it(
    supported: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.dtype] = []

    def spy(self: LSTM, values: torch.Tensor) -> tuple[torch.Tensor, None]:
        seen.append(values.dtype)
        return values, None

    monkeypatch.setattr(LSTM, "forward", spy)
    layer, vectors = LSTM(4, 3, batch_first=True), torch.randn(2, 5, 4, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        layer.states(vectors)
    layer.states(vectors)  # without autocast, nobody asks for another type
    assert seen == [torch.bfloat16 if supported else torch.float32, torch.bfloat16]


def test_where_it_is_missing_states_are_those_of_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False, raising=False)
    layer, vectors = LSTM(4, 3, batch_first=True), torch.randn(2, 5, 4)
    with torch.autocast("cpu", torch.bfloat16):
        found = layer.states(vectors)
    assert torch.equal(found, layer(vectors)[0])


def test_bidirectional_lstm_equals_torch_on_unpadded_rows() -> None:
    torch.manual_seed(0)
    ours = BidirectionalLSTM(5, 4)
    reference = torch.nn.LSTM(5, 4, batch_first=True, bidirectional=True)
    state = ours.ahead.state_dict()
    state |= {f"{k}_reverse": v for k, v in ours.back.state_dict().items()}
    reference.load_state_dict(state)
    vectors, lengths = torch.randn(3, 9, 5), torch.tensor([9, 1, 6])
    found = ours(vectors, lengths)
    for row, length in enumerate(lengths):
        expected = reference(vectors[row : row + 1, :length])[0][0]
        torch.testing.assert_close(found[row, :length], expected, atol=1e-6, rtol=1e-5)
