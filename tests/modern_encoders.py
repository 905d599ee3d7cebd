"""Tiny random encoders with attention that depends on distances, for tests of packing."""

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tiny
import torch
import transformers
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForMaskedLM,
    DebertaV2Config,
    DebertaV2ForQuestionAnswering,
    EuroBertConfig,
    EuroBertPreTrainedModel,
    ModernBertConfig,
    ModernBertForQuestionAnswering,
    PreTrainedModel,
)
from transformers.modeling_layers import GenericForQuestionAnswering

from retune.models.batches import Batch
from retune.models.dropout import use_fast_dropout
from retune.models.positions import first_position
from retune.tasks.qa.predict.batches import Collator, real_tokens, span_logits
from retune.tasks.qa.predict.reader import accepts_token_types

VOCABULARY = 60
#: Of windows: shorter and longer than what local attention and exact distances cover.
LENGTHS = (61, 17, 90, 1)
_SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 48,
    "max_position_embeddings": 100, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
_MODERNBERT = _SIZES | {
    "num_hidden_layers": 5, "local_attention": 8, "cls_token_id": 1, "sep_token_id": 2,
}  # fmt: skip
_DEBERTA_V3 = _SIZES | {
    "num_hidden_layers": 3, "relative_attention": True, "position_buckets": 16,
    "norm_rel_ebd": "layer_norm", "share_att_key": True, "pos_att_type": "p2c|c2p",
    "position_biased_input": False, "max_relative_positions": -1, "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}  # fmt: skip


class EuroBertForQuestionAnswering(GenericForQuestionAnswering, EuroBertPreTrainedModel):
    """EuroBERT with a span head, which transformers lacks."""


def _deberta(**changes: Any) -> PreTrainedModel:
    return DebertaV2ForQuestionAnswering(DebertaV2Config(**_DEBERTA_V3 | changes))


def _modernbert(**changes: Any) -> PreTrainedModel:
    return ModernBertForQuestionAnswering(ModernBertConfig(**_MODERNBERT | changes))


def _eurobert(**changes: Any) -> PreTrainedModel:
    grouped = {"num_hidden_layers": 3, "num_key_value_heads": 2}
    return EuroBertForQuestionAnswering(EuroBertConfig(**_SIZES | grouped | changes))


def _ultrabert(**changes: Any) -> PreTrainedModel:
    own = {"num_hidden_layers": 3, "num_key_value_heads": 2, "sliding_window": 4}
    config = transformers.UltrabertConfig(**_SIZES | own | changes)
    model: PreTrainedModel = transformers.UltrabertForQuestionAnswering(config)
    return model


#: DeBERTa v2 in other forms: keys of its own for distances, absolute positions, no buckets.
FAMILIES: dict[str, Callable[..., PreTrainedModel]] = {
    "modernbert": _modernbert,
    "eurobert": _eurobert,
    "deberta-v3": _deberta,
    "deberta-v2": lambda **changes: _deberta(
        **{"share_att_key": False, "position_biased_input": True, "type_vocab_size": 2} | changes
    ),
    "deberta-v2-one-way": lambda **changes: _deberta(
        **{"pos_att_type": ["c2p"], "position_buckets": -1, "max_relative_positions": 20} | changes
    ),
    "deberta-v2-absolute": lambda **changes: _deberta(
        **{"relative_attention": False, "position_biased_input": True} | changes
    ),
}
if hasattr(transformers, "UltrabertConfig"):  # in newer releases
    FAMILIES["ultrabert"] = _ultrabert
#: The same families with dropout wherever their configurations have one.
DROPOUT = {
    "modernbert": {"attention_dropout": 0.1, "embedding_dropout": 0.1, "mlp_dropout": 0.1},
    "eurobert": {"attention_dropout": 0.1},
    "deberta-v3": {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1},
}


def encoder(family: str, **changes: Any) -> Any:
    """A model of a family; its weights are large enough that every part moves the logits."""
    torch.manual_seed(0)
    model = FAMILIES[family](**changes)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.1)
    use_fast_dropout(model)
    return model.eval()


def windows(lengths: Sequence[int] = LENGTHS) -> list[dict[str, Any]]:
    generator = torch.Generator().manual_seed(1)
    return [
        {
            "input_ids": torch.randint(3, VOCABULARY, (length,), generator=generator).numpy(),
            "token_type_ids": (torch.arange(length) > 2).numpy(),
            "start_position": length // 3,
            "end_position": length // 2,
        }
        for length in lengths
    ]


def batch(model: Any, *, packed: bool, length_step: int = 1) -> Batch:
    collator = Collator(
        0, pad_left=False, token_types=accepts_token_types(model), packed=packed,
        first_position=first_position(model), length_step=length_step,
    )  # fmt: skip
    return collator(windows())


def logits(model: nn.Module, inputs: Batch) -> Tensor:
    """Start and end logits of the real tokens, window after window, shape (2, N)."""
    real = real_tokens(inputs)
    return torch.stack([values[real] for values in span_logits(model, inputs)])


#: Sizes of tiny encoders of the presets' families, and whether the hub has them pickled.
PUBLISHED: dict[str, tuple[str, dict[str, Any], bool]] = {
    "thousand-deberta-v3-small": ("deberta-v2", _DEBERTA_V3, True),
    "thousand-ettin-68m": ("modernbert", _MODERNBERT, True),
    "thousand-modernbert-base": ("modernbert", _MODERNBERT, False),
    "thousand-minilm-l12": ("bert", _SIZES | {"num_hidden_layers": 3}, True),
}


def write_published(folder: Path, preset: str) -> None:
    """Write a tiny encoder with the files that a preset's repository has at its commit."""
    family, sizes, pickled = PUBLISHED[preset]
    folder.mkdir()
    if family == "deberta-v2":
        _write_sentencepiece(folder)
    else:
        _write_word_pieces(folder, family)
    config = AutoConfig.for_model(family, **sizes | {"vocab_size": 250})
    torch.manual_seed(0)
    model = AutoModelForMaskedLM.from_config(config).half()
    if pickled:
        config.save_pretrained(folder)
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
    else:
        model.save_pretrained(folder)


def _write_word_pieces(folder: Path, family: str) -> None:
    """Write vocab.txt, as MiniLM has it, or tokenizer.json, as ModernBERT has it."""
    if family == "bert":
        (folder / "vocab.txt").write_text("\n".join(tiny.vocabulary()) + "\n", encoding="utf-8")
        settings: dict[str, Any] = {"do_lower_case": True}
    else:
        tiny.wordpiece().save_pretrained(folder)
        names = ["input_ids", "attention_mask"]
        settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_input_names": names}
        settings |= {f"{name}_token": f"[{name.upper()}]" for name in ("cls", "sep", "pad", "mask")}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


def _write_sentencepiece(folder: Path) -> None:
    """Write spm.model without tokenizer.json, as DeBERTa v3 has it."""
    from sentencepiece import SentencePieceTrainer

    questions = [question for rows in tiny.QUESTIONS for question, _ in rows]
    written = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter([*tiny.TEXTS, *questions] * 5),
        model_writer=written, vocab_size=140, pad_id=0, bos_id=1, eos_id=2, unk_id=3,
        pad_piece="[PAD]", bos_piece="[CLS]", eos_piece="[SEP]", unk_piece="[UNK]", minloglevel=2,
    )  # fmt: skip
    (folder / "spm.model").write_bytes(written.getvalue())
    settings = {"do_lower_case": False, "vocab_type": "spm"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
