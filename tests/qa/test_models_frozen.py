"""Variants that train on a frozen encoder: adapters, their fusion, LoRA."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from test_models import (
    FROZEN,
    HIDDEN,
    SMALL,
    build,
    bundle,
    checkpoint,
    distilbert,
    lent,
    logits,
    published,
    roberta,
    small,
    span_loss,
    windows,
)

from retune.adapters.adapter_reuse import BundleParams
from retune.core.errors import RetuneError
from retune.tasks.qa.models import bert_adapter_fusion
from retune.tasks.qa.predict import reader

__all__ = ["checkpoint", "distilbert", "roberta"]  # fixtures


@pytest.mark.parametrize("variant", FROZEN)
def test_the_encoder_of_a_frozen_variant_has_no_gradients(variant: str, checkpoint: Path) -> None:
    model = build(variant, checkpoint).train()
    own = set(load_file(checkpoint / "model.safetensors"))
    span_loss(model, windows([12, 9], 12), torch.tensor([[5, 4], [6, 6]])).backward()
    weights = dict(model.named_parameters())
    frozen = {name.replace(".base_layer", "") for name, p in weights.items() if p.grad is None}
    assert {f"bert.{name}" for name in own if "pooler" not in name} <= frozen
    assert all((p.grad is None) != p.requires_grad for p in weights.values())


@pytest.mark.parametrize("variant", FROZEN)
def test_a_fresh_frozen_variant_is_near_its_encoder(variant: str, checkpoint: Path) -> None:
    model, batch = build(variant, checkpoint), windows([12, 9, 4], 12)
    plain = build("bert", checkpoint)
    plain.qa_outputs.load_state_dict(model.qa_outputs.state_dict())
    torch.testing.assert_close(logits(model, batch), logits(plain, batch), atol=0.02, rtol=0.02)


def language(checkpoint: Path, folder: Path, **changes: Any) -> BundleParams:
    return bundle(tiny.write_bundle(folder / "language", checkpoint, "language", **changes))


@pytest.mark.parametrize("invertible", [2, None])
def test_adapters_stand_on_a_frozen_language(
    invertible: int | None, checkpoint: Path, tmp_path: Path
) -> None:
    below = language(checkpoint, tmp_path, invertible_reduction=invertible)
    for variant, params in (
        ("bert_adapter", replace(SMALL["bert_adapter"], language=below)),
        ("bert_adapter_fusion", replace(small("bert_adapter_fusion", checkpoint), language=below)),
    ):
        model, batch = build(variant, checkpoint, params=params), windows([12, 9], 12)
        parts = {name for name, _ in model.named_parameters() if ".language." in name}
        assert any("invertible" in name for name in parts) == (invertible is not None)
        assert not any(p.requires_grad for n, p in model.named_parameters() if n in parts)
        folder = published(model, checkpoint, tmp_path / variant)
        assert torch.equal(logits(reader.load(variant, folder), batch), logits(model, batch))


def test_adapters_of_one_name_are_told_apart(checkpoint: Path) -> None:
    one, _ = map(bundle, lent(checkpoint))
    model = build("bert_adapter_fusion", checkpoint,
                  params=bert_adapter_fusion.Params(None, [one, one, one], None))  # fmt: skip
    assert model.config.bundle["parts"]["composition"] == [["qa", "qa_2", "qa_3"]]


def test_the_penalty_of_a_fusion_is_none_at_first_and_grows(checkpoint: Path) -> None:
    model = build("bert_adapter_fusion", checkpoint)
    assert model.penalty().item() == 0.0
    for weight in model.parameters():
        weight.data += 0.1
    assert model.penalty().item() == pytest.approx(0.01 * 2 * HIDDEN**2 * 0.1**2, rel=1e-3)
    assert not hasattr(build("bert_adapter", checkpoint), "penalty")


def test_what_cannot_be_fused_or_stacked_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    one, two = map(bundle, lent(checkpoint))
    with pytest.raises(ValidationError, match="a fusion needs two adapters or more"):
        bert_adapter_fusion.Params(None, [one], None)
    with pytest.raises(ValidationError, match="only the first of a stack may have invertible"):
        replace(SMALL["bert_adapter"], language=one, invertible_reduction=2)
    below = language(checkpoint, tmp_path, invertible_reduction=2, reduction=2)
    params = bert_adapter_fusion.Params(None, [one, below], None)
    with pytest.raises(RetuneError, match=r"invertible layers, which cannot be fused; name this"):
        build("bert_adapter_fusion", checkpoint, params=params)
    params = bert_adapter_fusion.Params(None, [one, bundle(tmp_path / "none")], two)
    with pytest.raises(RetuneError, match=r"none: no bundle there .*cd pipelines/adapters"):
        build("bert_adapter_fusion", checkpoint, params=params)


@pytest.mark.parametrize("variant", FROZEN[::2])
def test_frozen_variants_are_of_the_bert_and_roberta_families(
    variant: str, roberta: Path, tmp_path: Path
) -> None:
    batch = windows([12], 12)
    del batch["token_type_ids"]
    model = build(variant, roberta)
    folder = published(model, roberta, tmp_path / "published")
    assert torch.equal(logits(reader.load(variant, folder), batch), logits(model, batch))


@pytest.mark.parametrize("variant", FROZEN[::2])
def test_a_frozen_variant_of_another_family_is_refused(variant: str, distilbert: Path) -> None:
    with pytest.raises(RetuneError, match="a model of type 'distilbert'; choose a model of"):
        build(variant, distilbert)
