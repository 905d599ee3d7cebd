from typing import Any

import numpy as np
import pytest
import torch
from transformers.modeling_outputs import QuestionAnsweringModelOutput

from retune.tasks.qa.predict.attention import Packing
from retune.tasks.qa.predict.batches import Collator, real_tokens, span_logits
from retune.tasks.qa.train.evaluation import span_loss


def window(length: int, start: int = 0, end: int = 0) -> dict[str, Any]:
    return {
        "input_ids": np.arange(1, length + 1),
        "token_type_ids": np.arange(length) >= 2,
        "start_position": start,
        "end_position": end,
    }


@pytest.mark.parametrize(("longest", "size"), [(3, 32), (32, 32), (33, 64), (384, 384)])
def test_batches_have_few_lengths(longest: int, size: int) -> None:
    batch = Collator(0, pad_left=False, token_types=True)([window(3), window(longest)])
    assert all(batch[name].shape == (2, size) for name in ("input_ids", "attention_mask"))


def test_padding_is_masked_and_stands_on_the_right() -> None:
    batch = Collator(9, pad_left=False, token_types=True)([window(3, 1, 2), window(5)])
    assert batch["input_ids"][0, :5].tolist() == [1, 2, 3, 9, 9]
    assert batch["attention_mask"].sum(dim=1).tolist() == [3, 5]
    assert batch["token_type_ids"][0, :5].tolist() == [0, 0, 1, 0, 0]
    assert batch["start_position"].tolist() == [1, 0]


def test_padding_on_the_left_moves_the_answer_with_its_tokens() -> None:
    batch = Collator(9, pad_left=True, token_types=True)([window(3, 1, 2)])
    row = batch["input_ids"][0]
    assert row[-3:].tolist() == [1, 2, 3]
    assert row[batch["start_position"][0]] == 2
    assert row[batch["end_position"][0]] == 3
    assert batch["attention_mask"][0].tolist() == [0] * 29 + [1] * 3


def test_batches_are_not_padded_beyond_the_models_positions() -> None:
    batch = Collator(0, pad_left=False, token_types=False, max_length=50)([window(40)])
    assert batch["input_ids"].shape == (1, 50)


def test_models_without_token_types_get_none() -> None:
    batch = Collator(0, pad_left=False, token_types=False)([window(3)])
    assert "token_type_ids" not in batch


def packed(length_step: int = 1, **settings: Any) -> Collator:
    return Collator(
        9, pad_left=False, token_types=True, packed=True, length_step=length_step, **settings
    )


def test_packed_windows_stand_in_one_row_without_padding() -> None:
    batch = packed(first_position=2)([window(3, 1, 2), window(2)])
    assert batch["input_ids"].tolist() == [[1, 2, 3, 1, 2]]
    assert batch["token_type_ids"].tolist() == [[0, 0, 1, 0, 0]]
    assert batch["position_ids"].tolist() == [[2, 3, 4, 2, 3]]
    assert batch["packing"] == Packing((3, 2), (3, 2))
    assert batch["start_position"].tolist() == [1, 0]


def test_packed_windows_take_a_multiple_of_the_step_but_never_more_than_the_positions() -> None:
    batch = packed(length_step=4, max_length=6)([window(5), window(3)])
    assert batch["packing"] == Packing((5, 3), (6, 4))
    assert batch["input_ids"].tolist() == [[1, 2, 3, 4, 5, 9, 1, 2, 3, 9]]


def echo(**inputs: Any) -> QuestionAnsweringModelOutput:
    """A model whose logits are the token ids, and their negatives."""
    ids = inputs["input_ids"].float()
    return QuestionAnsweringModelOutput(start_logits=ids, end_logits=-ids)


@pytest.mark.parametrize("step", [1, 4])
def test_logits_of_packed_windows_are_those_of_padded_ones(step: int) -> None:
    rows = [window(5, 4, 4), window(2, 1, 1), window(3)]
    results = []
    for collator in (packed(step), Collator(9, pad_left=False, token_types=True, length_step=1)):
        batch = collator(rows)
        results.append([*span_logits(echo, batch), real_tokens(batch)])  # type: ignore[arg-type]
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("pad_left", [False, True])
def test_padding_takes_no_share_of_the_loss(pad_left: bool) -> None:
    wide = Collator(99, pad_left=pad_left, token_types=True)([window(4, 2, 3)])
    tight = Collator(99, pad_left=pad_left, token_types=True, length_step=1)([window(4, 2, 3)])
    losses = [
        span_loss(*span_logits(echo, batch), batch["start_position"], batch["end_position"])  # type: ignore[arg-type]
        for batch in (wide, tight)
    ]
    assert losses[0].item() == pytest.approx(losses[1].item(), abs=1e-6)
