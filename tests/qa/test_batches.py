from typing import Any

import numpy as np
import pytest

from retune.qa.batches import Collator


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
