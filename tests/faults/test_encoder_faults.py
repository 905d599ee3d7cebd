"""Families of encoders as `bert`: each is read, or refused by name; rows K45 to K49."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForQuestionAnswering,
    T5EncoderModel,
)

from retune.core.errors import RetuneError
from retune.models.encoders import encoder_config, span_model
from retune.models.positions import max_positions
from retune.tasks.qa.predict.batches import Collator
from retune.tasks.qa.train.padding import require_readable

SIZES: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
    "max_position_embeddings": 64,
}  # fmt: skip
DISTILBERT = {
    "dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64, "max_position_embeddings": 64
}  # fmt: skip
T5 = {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2}
BART = {
    "d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
    "decoder_attention_heads": 2, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64,
    "max_position_embeddings": 64,
}  # fmt: skip
ROBERTA = SIZES | {"pad_token_id": 1, "type_vocab_size": 1}
DEBERTA = SIZES | {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]}
FUNNEL = {
    "d_model": 32, "n_head": 2, "d_head": 16, "d_inner": 64, "block_sizes": [1, 1],
    "block_repeats": [1, 1], "num_decoder_layers": 1,
}  # fmt: skip
FAMILIES: dict[str, dict[str, Any]] = {
    "bert": SIZES,
    "roberta": ROBERTA,
    "xlm-roberta": ROBERTA,
    "camembert": ROBERTA,
    "distilbert": DISTILBERT,
    "electra": SIZES | {"embedding_size": 16},
    "albert": SIZES | {"embedding_size": 16},
    "deberta": DEBERTA,
    "deberta-v2": DEBERTA | {"position_buckets": 16},
    "mpnet": SIZES | {"pad_token_id": 1},
    "modernbert": SIZES | {"local_attention": 8, "global_attn_every_n_layers": 2},
    "xlnet": {"d_model": 32, "n_layer": 2, "n_head": 2, "d_inner": 64},
    "big_bird": SIZES | {"attention_type": "original_full"},
    "t5": T5 | {"decoder_start_token_id": 0},
    "mt5": T5 | {"decoder_start_token_id": 0},
    "bart": BART,
    "longformer": ROBERTA | {"attention_window": [4, 4]},
    "convbert": SIZES | {"embedding_size": 16, "conv_kernel_size": 3, "head_ratio": 1},
    "nystromformer": SIZES | {"num_landmarks": 64, "segment_means_seq_len": 64},
    "funnel": FUNNEL,
    "fnet": SIZES,
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64},
}
SEPARATOR = 3


def case(name: str, *values: Any) -> Any:
    return pytest.param(*values, id=name)


def model_of(family: str, **changes: Any) -> Any:
    torch.manual_seed(0)
    values = {"vocab_size": 64, "pad_token_id": 0, "bos_token_id": 2, "sep_token_id": SEPARATOR}
    values |= {"cls_token_id": 2, "eos_token_id": SEPARATOR}
    config = AutoConfig.for_model(family, **values | FAMILIES[family] | changes)
    return AutoModelForQuestionAnswering.from_config(config).eval()


def window(separators: int = 1) -> dict[str, Any]:
    """A question of 4 tokens and a context of 20, between special tokens."""
    between = [SEPARATOR] * separators
    ids = [2, *range(10, 14), *between, *range(20, 40), SEPARATOR]
    start = 5 + separators
    return {
        "input_ids": np.array(ids),
        "token_type_ids": (np.arange(len(ids)) >= start).astype(np.int64),
        "context_start": start,
        "context_end": start + 20,
        "cls": 0,
    }


def collator_of(model: Any) -> Collator:
    pad = int(model.config.pad_token_id or 0)
    return Collator(pad, pad_left=False, token_types=False, max_length=max_positions(model))


WORKING = [
    *("bert", "roberta", "xlm-roberta", "camembert", "distilbert", "electra", "albert"),
    *("deberta", "deberta-v2", "mpnet", "modernbert", "xlnet", "big_bird", "t5", "mt5", "bart"),
]


@pytest.mark.parametrize("family", [case(f"K45 {family}", family) for family in WORKING])
def test_a_family_is_read_whatever_the_padding(family: str) -> None:
    model = model_of(family)
    assert max_positions(model) in (None, 62, 64)
    state = torch.get_rng_state()
    require_readable(model.train(), collator_of(model), window())
    assert model.training
    assert torch.equal(torch.get_rng_state(), state)
    ids, pad = torch.tensor(window()["input_ids"])[None], int(model.config.pad_token_id or 0)
    mask = torch.ones_like(ids)
    with torch.no_grad():
        alone = model.eval()(input_ids=ids, attention_mask=mask).start_logits
        ids, mask = (
            torch.nn.functional.pad(ids, (0, 9), value=pad),
            torch.nn.functional.pad(mask, (0, 9)),
        )
        padded = model(input_ids=ids, attention_mask=mask).start_logits[:, :-9]
    torch.testing.assert_close(padded, alone, atol=1e-5, rtol=1e-5)


def test_k45_longformer_is_read_with_the_pairs_of_roberta() -> None:
    model = model_of("longformer")
    require_readable(model, collator_of(model), window(separators=2))


@pytest.mark.parametrize(
    ("family", "changes", "reason"),
    [
        case("K46 longformer and one separator", "longformer", {}, "three separator tokens"),
        case("K46 t5 without a start", "t5", {"decoder_start_token_id": None}, "decoder_start"),
        case("K47 funnel", "funnel", {}, r"the logits of a window move by 0\..* with its padding"),
        case("K47 fnet", "fnet", {}, "with its padding"),
        case("K47 convbert", "convbert", {}, "with its padding"),
        case("K47 nystromformer", "nystromformer", {}, "with its padding"),
        case("K48 gpt2", "gpt2", {}, "the CLS token in front of a window does not see the rest"),
    ],
)
def test_a_family_is_refused_by_name(family: str, changes: dict[str, Any], reason: str) -> None:
    model = model_of(family, **changes)
    message = rf"^{family}\b.*{reason}.*; choose another encoder for qa.checkpoint"
    with pytest.raises(RetuneError, match=message):
        require_readable(model, collator_of(model), window())


def test_k47_padding_on_the_left_is_tried_where_windows_are_padded_so() -> None:
    model = model_of("bert")
    collator = Collator(0, pad_left=True, token_types=True, max_length=64)
    with pytest.raises(RetuneError, match=r"^bert: the logits of a window move by"):
        require_readable(model, collator, window())


def test_k49_an_encoder_without_its_decoder_is_refused(tmp_path: Path) -> None:
    size = len(tiny.wordpiece())
    config = AutoConfig.for_model("t5", vocab_size=size, decoder_start_token_id=0, **T5)
    AutoModel.from_config(config).save_pretrained(tmp_path / "whole")
    span_model(tmp_path / "whole", None, size)
    T5EncoderModel(config).save_pretrained(tmp_path / "half")
    with pytest.raises(RetuneError, match=r"half lacks weights of the encoder: decoder\."):
        span_model(tmp_path / "half", None, size)


def test_k49_sparse_attention_that_changes_with_the_batch_is_full(tmp_path: Path) -> None:
    config = AutoConfig.for_model("big_bird", vocab_size=60, attention_type="block_sparse", **SIZES)
    config.save_pretrained(tmp_path)
    assert encoder_config(tmp_path, None).attention_type == "original_full"
