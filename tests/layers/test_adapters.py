"""Adapters and fusion against AdapterHub's library (tests/reference/make_adapter_goldens.py)."""

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForQuestionAnswering,
    BertConfig,
    DistilBertConfig,
    PreTrainedModel,
    RobertaConfig,
)

from retune.adapters.layers import (
    AdaptedOutput,
    AdapterParams,
    Composition,
    Invertible,
    adapt,
    fusion_penalty,
)
from retune.core.errors import RetuneError

GOLDENS = json.loads(
    (Path(__file__).parents[1] / "reference/adapter_goldens.json").read_text(encoding="utf-8")
)
SIZES: dict[str, Any] = {
    "vocab_size": 30, "hidden_size": 12, "num_hidden_layers": 3, "num_attention_heads": 3,
    "intermediate_size": 20, "max_position_embeddings": 24,
}  # fmt: skip
CONFIGS = {
    "bert": BertConfig(**SIZES),
    "roberta": RobertaConfig(**SIZES, pad_token_id=0, type_vocab_size=1),
}
IDS = torch.tensor([[5, 6, 7, 8, 9, 10, 11], [12, 13, 14, 15, 16, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0, 0]])

PFEIFFER = AdapterParams("pfeiffer", 4, "gelu", "whole", None)
LANGUAGE = AdapterParams("pfeiffer", 2, "relu", "whole", 2)
HOULSBY = AdapterParams("houlsby", 4, "swish", "whole", None)
CASES: dict[str, tuple[dict[str, AdapterParams], Composition]] = {
    "pfeiffer": ({"qa": PFEIFFER}, ["qa"]),
    "pfeiffer, none in the last layer": (
        {"qa": AdapterParams("pfeiffer", 4, "gelu", "none", None)}, ["qa"],
    ),
    "pfeiffer, invertible": ({"language": LANGUAGE}, ["language"]),
    "houlsby": ({"qa": HOULSBY}, ["qa"]),
    "houlsby, attention in the last layer": (
        {"qa": AdapterParams("houlsby", 4, "swish", "attention", None)}, ["qa"],
    ),
    "stack": ({"language": LANGUAGE, "qa": PFEIFFER}, ["language", "qa"]),
    "stack of houlsby": ({"one": HOULSBY, "two": HOULSBY}, ["one", "two"]),
    "fusion": ({"qa": PFEIFFER, "entities": PFEIFFER}, [("qa", "entities")]),
    "fusion of houlsby": ({"qa": HOULSBY, "entities": HOULSBY}, [("qa", "entities")]),
    "stack with a fusion": (
        {"language": LANGUAGE, "qa": PFEIFFER, "entities": PFEIFFER},
        ["language", ("qa", "entities")],
    ),
}  # fmt: skip


def fill(model: PreTrainedModel) -> None:
    """Draw every weight from its name, as the reference does."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            stream = np.random.RandomState(zlib.crc32(name.encode()))
            values = stream.standard_normal(tuple(weight.shape)) * 0.3
            weight.copy_(torch.tensor(values + ("LayerNorm.weight" in name)))


def adapted(family: str, name: str, auto: Any = AutoModelForQuestionAnswering) -> PreTrainedModel:
    params, composition = CASES[name]
    model: PreTrainedModel = auto.from_config(CONFIGS[family])
    adapt(model, params, composition)
    fill(model)
    model.eval()
    return model


def size(weights: Any) -> int:
    return sum(weight.numel() for weight in weights)


@pytest.mark.parametrize("family", CONFIGS)
@pytest.mark.parametrize("name", CASES)
def test_logits_and_counts_are_those_of_the_reference(family: str, name: str) -> None:
    golden, model = GOLDENS[family][name], adapted(family, name)
    with torch.inference_mode():
        output = model(input_ids=IDS, attention_mask=MASK)
    logits = torch.stack([output.start_logits, output.end_logits], -1)[MASK.bool()]
    torch.testing.assert_close(logits, torch.tensor(golden["logits"]), atol=2e-6, rtol=1e-5)
    assert size(model.parameters()) == golden["parameters"]


@pytest.mark.parametrize("family", CONFIGS)
@pytest.mark.parametrize("name", ["pfeiffer", "pfeiffer, invertible"])
def test_a_language_model_goes_back_through_the_inverse(family: str, name: str) -> None:
    golden = GOLDENS[family][f"masked, {name}"]
    with torch.inference_mode():
        output = adapted(family, name, AutoModelForMaskedLM)(input_ids=IDS, attention_mask=MASK)
    logits = output.logits[MASK.bool()]
    torch.testing.assert_close(logits, torch.tensor(golden["logits"]), atol=5e-6, rtol=1e-5)


@pytest.mark.parametrize("family", CONFIGS)
@pytest.mark.parametrize("name", [name for name in CASES if "fusion" in name])
def test_the_penalty_is_that_of_the_reference(family: str, name: str) -> None:
    penalty = fusion_penalty(adapted(family, name))
    assert torch.as_tensor(penalty).item() == pytest.approx(
        GOLDENS[family][name]["penalty"], rel=1e-5
    )


def test_every_golden_is_compared() -> None:
    masked = {f"masked, {name}" for name in ("pfeiffer", "pfeiffer, invertible")}
    assert all(set(cases) == set(CASES) | masked for cases in GOLDENS.values())


def test_the_inverse_is_one() -> None:
    coupling, embeddings = Invertible(7, 2, "relu"), torch.randn(2, 5, 7)
    torch.testing.assert_close(coupling.inverse(coupling(embeddings)), embeddings)


def test_only_what_is_added_and_the_head_are_trained() -> None:
    model = AutoModelForQuestionAnswering.from_config(CONFIGS["bert"])
    base = set(dict(model.named_parameters()))
    adapt(model, *CASES["stack with a fusion"])
    now = dict(model.named_parameters())
    assert base < set(now)  # the encoder's weights kept their names
    trained = {name for name, weight in now.items() if weight.requires_grad}
    assert trained == (set(now) - base) | {"qa_outputs.weight", "qa_outputs.bias"}


def test_a_fresh_fusion_passes_on_what_the_adapters_say_in_the_middle() -> None:
    model = AutoModelForQuestionAnswering.from_config(CONFIGS["bert"])
    adapt(model, *CASES["fusion"])
    output = next(part for part in model.modules() if isinstance(part, AdaptedOutput))
    fusion = output.fusions["qa,entities"]
    added, hidden = torch.randn(2, 5, 2, 12), torch.zeros(2, 5, 12)
    torch.testing.assert_close(fusion(hidden, added), added.mean(-2))


@pytest.mark.parametrize(
    ("params", "composition", "message"),
    [
        ({"a": PFEIFFER, "b": HOULSBY}, [("a", "b")], "the adapters a, b cannot be fused"),
        ({"a": PFEIFFER}, ["a", "b"], "the composition has the adapters a, b, but the params are"),
        ({"a": PFEIFFER}, ["a", "a"], "name each adapter once"),
    ],
)
def test_a_composition_that_is_none_is_refused(
    params: dict[str, AdapterParams], composition: Composition, message: str
) -> None:
    model = AutoModelForQuestionAnswering.from_config(CONFIGS["bert"])
    with pytest.raises(RetuneError, match=message):
        adapt(model, params, composition)


def test_another_architecture_is_refused_by_name() -> None:
    config = DistilBertConfig(vocab_size=30, dim=12, n_heads=3, n_layers=1, hidden_dim=20)
    model = AutoModelForQuestionAnswering.from_config(config)
    with pytest.raises(
        RetuneError, match=r"a model of type 'distilbert'; choose .* bert, camembert"
    ):
        adapt(model, {"qa": PFEIFFER}, ["qa"])
