from typing import Any

import pytest
import torch
from transformers import (
    AlbertConfig,
    AlbertForQuestionAnswering,
    BertConfig,
    BertForQuestionAnswering,
    DistilBertConfig,
    DistilBertForQuestionAnswering,
    ElectraConfig,
    ElectraForQuestionAnswering,
    MPNetConfig,
    MPNetForQuestionAnswering,
    RobertaConfig,
    RobertaForQuestionAnswering,
)

from retune.adapters.bundles import AdapterParts, LoraParts, Parts, insert
from retune.adapters.layers import AdapterParams
from retune.models.positions import first_position
from retune.tasks.qa.predict.attention import PACKED, Packing
from retune.tasks.qa.predict.batches import Collator, real_tokens, span_logits
from retune.tasks.qa.predict.packing import unpacked, use_packing
from retune.tasks.qa.predict.reader import accepts_token_types

SIZES: dict[str, Any] = {
    "vocab_size": 60,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 40,
}
DISTILBERT = {
    "vocab_size": 60, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24,
    "max_position_embeddings": 40,
}  # fmt: skip


def encoder(family: str) -> Any:
    torch.manual_seed(0)
    models = {
        "bert": lambda: BertForQuestionAnswering(BertConfig(**SIZES)),
        "roberta": lambda: RobertaForQuestionAnswering(RobertaConfig(**SIZES)),
        "distilbert": lambda: DistilBertForQuestionAnswering(DistilBertConfig(**DISTILBERT)),
        "electra": lambda: ElectraForQuestionAnswering(ElectraConfig(**SIZES)),
        "albert": lambda: AlbertForQuestionAnswering(AlbertConfig(**SIZES, embedding_size=16)),
        "mpnet": lambda: MPNetForQuestionAnswering(MPNetConfig(**SIZES)),
    }
    return models[family]()


def windows(lengths: list[int]) -> list[dict[str, Any]]:
    torch.manual_seed(1)
    return [
        {
            "input_ids": torch.randint(5, 60, (length,)).numpy(),
            "token_type_ids": (torch.arange(length) > 2).numpy(),
            "start_position": 1,
            "end_position": 2,
        }
        for length in lengths
    ]


def logits(model: Any, *, packed: bool, length_step: int = 1) -> torch.Tensor:
    """Start logits of the real tokens, window after window."""
    collator = Collator(
        1, pad_left=False, token_types=accepts_token_types(model), packed=packed,
        first_position=first_position(model), length_step=length_step,
    )  # fmt: skip
    batch = collator(windows([17, 5, 30]))
    with torch.no_grad():
        return span_logits(model.eval(), batch)[0][real_tokens(batch)]


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "electra", "albert"])
@pytest.mark.parametrize("length_step", [1, 16])
def test_packed_windows_have_the_logits_of_padded_ones(family: str, length_step: int) -> None:
    model = encoder(family)
    before = logits(model, packed=False)
    assert use_packing(model)
    found = logits(model, packed=True, length_step=length_step)
    torch.testing.assert_close(found, before, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(logits(model, packed=False), before, atol=1e-5, rtol=1e-4)


PFEIFFER = AdapterParams("pfeiffer", 4, "gelu", "whole", None)
LANGUAGE = AdapterParams("houlsby", 2, "relu", "whole", 2)
PARTS: dict[str, Parts] = {
    "adapter": AdapterParts({"qa": PFEIFFER}, ["qa"]),
    "stack": AdapterParts({"language": LANGUAGE, "qa": PFEIFFER}, ["language", "qa"]),
    "fusion": AdapterParts({"a": PFEIFFER, "b": PFEIFFER}, [["a", "b"]]),
    "lora": LoraParts(2, 4.0, 0.1, ["query", "value", "dense"]),
}


@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_packed_windows_go_through_what_is_put_in(family: str, parts: str) -> None:
    model = encoder(family)
    insert(model, PARTS[parts])
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.normal_(std=0.3)
    before = logits(model, packed=False)
    assert use_packing(model)
    found = logits(model, packed=True, length_step=16)
    torch.testing.assert_close(found, before, atol=1e-5, rtol=1e-4)


def test_a_model_with_other_attention_is_left_as_it_is() -> None:
    model = encoder("mpnet")
    before, attention = logits(model, packed=False), model.config._attn_implementation
    assert not use_packing(model)
    assert model.config._attn_implementation == attention != PACKED
    assert torch.equal(logits(model, packed=False), before)


@pytest.mark.parametrize("training", [False, True])
def test_the_trial_changes_neither_mode_nor_random_numbers(training: bool) -> None:
    model = encoder("bert").train(training)
    state = torch.get_rng_state()
    assert use_packing(model)
    assert model.training is training
    assert torch.equal(torch.get_rng_state(), state)


def test_packing_is_no_part_of_a_checkpoint(tmp_path: Any) -> None:
    model = encoder("bert")
    use_packing(model)
    model.save_pretrained(tmp_path)
    assert PACKED not in (tmp_path / "config.json").read_text(encoding="utf-8")


def test_unpacked_rows_are_zero_behind_each_window() -> None:
    row = torch.tensor([[1.0, 2.0, 9.0, 3.0, 9.0]])
    assert unpacked(row, Packing((2, 1), (3, 2))).tolist() == [[1, 2], [3, 0]]
