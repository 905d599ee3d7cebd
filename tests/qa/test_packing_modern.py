"""Encoders with local, rotary or relative attention read packed windows as padded ones."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import modern_encoders
import pytest
import torch
from modern_encoders import DROPOUT, FAMILIES, batch, encoder, logits
from safetensors.torch import load_file
from torch import Tensor
from transformers import (
    DebertaConfig,
    DebertaForQuestionAnswering,
    LlamaConfig,
    LlamaForQuestionAnswering,
)

from retune.tasks.qa.predict import attention, disentangled
from retune.tasks.qa.predict.attention import PACKED
from retune.tasks.qa.predict.packing import use_packing
from retune.tasks.qa.train.evaluation import batch_loss


@pytest.mark.parametrize("length_step", [1, 16])
@pytest.mark.parametrize("family", FAMILIES)
def test_packed_windows_have_the_logits_of_padded_ones(family: str, length_step: int) -> None:
    model = encoder(family)
    with torch.no_grad():
        before = logits(model, batch(model, packed=False))
        assert use_packing(model)
        found = logits(model, batch(model, packed=True, length_step=length_step))
        torch.testing.assert_close(found, before, atol=1e-5, rtol=1e-5)
        assert torch.equal(logits(model, batch(model, packed=False)), before)


def gradients(model: Any, inputs: Any) -> dict[str, Tensor]:
    model.zero_grad(set_to_none=True)
    batch_loss(*modern_encoders.span_logits(model, inputs), inputs).backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("length_step", [1, 16])
@pytest.mark.parametrize("family", FAMILIES)
def test_packed_windows_have_the_gradients_of_padded_ones(family: str, length_step: int) -> None:
    model = encoder(family).double()
    before = gradients(model, batch(model, packed=False))
    assert use_packing(model)
    found = gradients(model, batch(model, packed=True, length_step=length_step))
    assert before.keys() == found.keys()
    for name, gradient in before.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-6, rtol=1e-4, msg=name)
    assert sum(bool(gradient.any()) for gradient in found.values()) >= len(found) - 1


@pytest.mark.parametrize("family", DROPOUT)
def test_gradients_under_autocast_are_close_to_those_of_float32(family: str) -> None:
    model = encoder(family)
    assert use_packing(model)
    inputs = batch(model, packed=True, length_step=16)
    exact = gradients(model, inputs)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = gradients(model, inputs)
    assert {gradient.dtype for gradient in rounded.values()} == {torch.float32}
    # All together: those of some biases are zero but for rounding.
    whole, other = (torch.cat([g.flatten() for g in some.values()]) for some in (exact, rounded))
    assert float((other - whole).norm()) < 0.05 * float(whole.norm())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("family", DROPOUT)
def test_packed_windows_with_dropout_are_learned(family: str, precision: str) -> None:
    model = encoder(family, **DROPOUT[family])
    assert use_packing(model)
    inputs = batch(model.train(), packed=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(12):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            loss = batch_loss(*modern_encoders.span_logits(model, inputs), inputs)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.parametrize("family", DROPOUT)
def test_attention_is_dropped_in_training(family: str) -> None:
    names = [name for name in DROPOUT[family] if "attention" in name]
    model = encoder(family, **{name: 0.5 for name in names})
    assert use_packing(model)
    inputs = batch(model, packed=True)
    with torch.no_grad():
        assert torch.equal(logits(model, inputs), logits(model, inputs))
        model.train()
        assert not torch.equal(logits(model, inputs), logits(model, inputs))


WRONG: dict[str, tuple[str, Any, str, Callable[..., Tensor]]] = {
    "no local attention": (
        "modernbert", attention, "_far", lambda tokens, _: torch.zeros(tokens, tokens).bool(),
    ),
    "local attention that is too narrow by one": (
        "modernbert", attention, "_far",
        lambda tokens, most, far=attention._far: far(tokens, most - 1),
    ),
    "distances that are told apart too far": (
        "deberta-v3", disentangled, "_places",
        lambda tokens, span, _, longest, places=disentangled._places: places(
            tokens, span, 0, longest
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_the_trial_sees_what_short_windows_do_not_show(
    wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    family, module, name, mistake = WRONG[wrong]
    model = encoder(family)
    own = model.config._attn_implementation
    with torch.no_grad():
        before = logits(model, batch(model, packed=False))
        monkeypatch.setattr(module, name, mistake)
        assert not use_packing(model)
        assert model.config._attn_implementation == own != PACKED
        assert not any("_Packed" in type(part).__name__ for part in model.modules())
        assert not model._forward_pre_hooks
        assert not model._forward_hooks
        assert torch.equal(logits(model, batch(model, packed=False)), before)


SMALL: dict[str, Any] = {
    "vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 24, "max_position_embeddings": 40,
}  # fmt: skip


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(lambda: encoder("deberta-v3", conv_kernel_size=3), id="convolution"),
        pytest.param(
            lambda: DebertaForQuestionAnswering(
                DebertaConfig(**SMALL, relative_attention=True, pos_att_type=["c2p", "p2c"])
            ),
            id="first DeBERTa",
        ),
        pytest.param(lambda: LlamaForQuestionAnswering(LlamaConfig(**SMALL)), id="left to right"),
    ],
)
def test_other_attention_is_not_packed(build: Callable[[], Any]) -> None:
    model = build()
    before = model.config._attn_implementation
    assert not use_packing(model)
    assert model.config._attn_implementation == before != PACKED


@pytest.mark.parametrize("family", ["modernbert", "deberta-v3"])
def test_a_second_call_changes_nothing(family: str) -> None:
    model = encoder(family)
    assert use_packing(model)
    hooks = len(model._forward_pre_hooks)
    assert use_packing(model)
    assert len(model._forward_pre_hooks) == hooks
    assert all("_Packed" not in name for name in model.state_dict())


@pytest.mark.parametrize("family", ["modernbert", "deberta-v3"])
def test_a_saved_model_is_the_same(family: str, tmp_path: Path) -> None:
    model = encoder(family)
    model.save_pretrained(tmp_path / "before")
    assert use_packing(model)
    model.save_pretrained(tmp_path / "after")
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "after" / name).read_bytes() == (tmp_path / "before" / name).read_bytes()
    assert load_file(tmp_path / "after/model.safetensors").keys() == model.state_dict().keys()


def test_a_failed_call_leaves_no_packing_behind() -> None:
    model = encoder("deberta-v3")
    assert use_packing(model)
    inputs = batch(model, packed=True)
    with pytest.raises(IndexError):
        modern_encoders.span_logits(model, inputs | {"input_ids": inputs["input_ids"] + 100})
    with torch.no_grad():
        states = model.deberta(torch.tensor([[5, 6, 7]])).last_hidden_state
    assert states.shape == (1, 3, 32)
