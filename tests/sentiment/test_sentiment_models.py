import importlib
import inspect
import json
import re
from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from pydantic import ValidationError
from sentiment_runs import MODULES, PARAMS
from torch.nn.utils.rnn import pack_padded_sequence
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    PreTrainedModel,
)

from retune.core.errors import RetuneError
from retune.core.files import sha256
from retune.core.params import module_names
from retune.tasks.sentiment import models
from retune.tasks.sentiment.predict.batches import Collator
from retune.tasks.sentiment.texts.features import Row

VOCABULARY = len(tiny.vocabulary())
NAMES = list(MODULES)
Batch = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoder")
    tiny.write_checkpoint(folder)
    return folder


def build(name: str, checkpoint: Path, seed: int = 0, **changes: Any) -> PreTrainedModel:
    torch.manual_seed(seed)
    params = replace(PARAMS[name], **changes)
    model: PreTrainedModel = MODULES[name].build(params, checkpoint, VOCABULARY, 0)
    return model


def texts(lengths: list[int], total: int) -> Batch:
    generator = torch.Generator().manual_seed(3)
    ids, mask = (torch.zeros(len(lengths), total, dtype=torch.long) for _ in range(2))
    for row, length in enumerate(lengths):
        ids[row, :length] = 5 + torch.randperm(VOCABULARY - 5, generator=generator)[:length]
        mask[row, :length] = 1
    return {"input_ids": ids, "attention_mask": mask}


def logits(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
    model.eval()
    with torch.no_grad():
        output: torch.Tensor = model(**batch).logits
    return output


def test_every_model_is_tried_here() -> None:
    assert module_names("retune.tasks.sentiment.models") == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_keeps_the_contract_and_imports_no_other(name: str, checkpoint: Path) -> None:
    module = importlib.import_module(f"retune.tasks.sentiment.models.{name}")
    assert is_dataclass(module.Params)
    names = ["params", "pretrained", "vocabulary_size", "pad_token_id"]
    assert list(inspect.signature(module.build).parameters) == names
    source = inspect.getsource(module)
    assert not [other for other in NAMES if f"sentiment.models.{other}" in source.replace(
        f"sentiment.models.{name}", "")]  # fmt: skip
    output = build(name, checkpoint)(**texts([12, 9, 7], 14))
    assert output.loss is None
    assert output.logits.shape == (3, 2)
    assert build(name, checkpoint).config.id2label == {0: "negative", 1: "positive"}


@pytest.mark.parametrize("pooling", ["mean", "last"])
@pytest.mark.parametrize("name", NAMES)
def test_padding_changes_no_logit(name: str, pooling: str, checkpoint: Path) -> None:
    changes = {"pooling": pooling} if name == "lstm" else {}
    model, lengths = build(name, checkpoint, **changes), [15, 1, 9]
    batch = texts(lengths, 15)
    padded = {key: torch.nn.functional.pad(rows, (0, 20)) for key, rows in batch.items()}
    padded["input_ids"][padded["attention_mask"] == 0] = 7
    together, wider = logits(model, batch), logits(model, padded)
    for row, length in enumerate(lengths):
        alone = logits(model, {key: rows[row : row + 1, :length] for key, rows in batch.items()})
        torch.testing.assert_close(together[row : row + 1], alone, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(wider[row : row + 1], alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_row_gives_finite_logits_and_gradients(name: str, checkpoint: Path) -> None:
    model = build(name, checkpoint).train()
    total = model(**texts([0, 1, 8], 10)).logits.sum()
    total.backward()
    assert torch.isfinite(total)
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(torch.isfinite(grad).all() for grad in grads)


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_model_gives_the_same_bits(name: str, checkpoint: Path, tmp_path: Path) -> None:
    model, batch = build(name, checkpoint), texts([12, 9, 4], 12)
    model.save_pretrained(tmp_path)
    loaded = models.load(name, tmp_path)
    assert not loaded.training
    assert torch.equal(logits(loaded, batch), logits(model, batch))
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(RetuneError, match="not a complete model"):
        models.load(name, tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_decides_what_is_drawn(name: str, checkpoint: Path) -> None:
    one, same, other = (build(name, checkpoint, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert not all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "electra"])
@pytest.mark.parametrize("count", [2, 3, 1])
def test_bert_keeps_a_head_of_two_labels_and_makes_any_other_anew(
    family: str, count: int, tmp_path: Path
) -> None:
    sizes = {"dim": 32, "hidden_dim": 64} if family == "distilbert" else {}
    tiny.write_checkpoint(tmp_path / "encoder", family, **sizes)
    config = AutoConfig.from_pretrained(tmp_path / "encoder", num_labels=count)
    theirs = AutoModelForSequenceClassification.from_config(config)
    theirs.save_pretrained(tmp_path / "tuned")
    batch = texts([9, 4], 9)
    first, again = (build("bert", tmp_path / "tuned", seed, dropout=None) for seed in (1, 2))
    assert first.config.id2label == {0: "negative", 1: "positive"}
    assert torch.equal(logits(first, batch), logits(again, batch)) == (count == 2)
    state = theirs.base_model.state_dict()
    kept = first.base_model.state_dict()
    assert all(torch.equal(kept[name], weight) for name, weight in state.items())


@pytest.mark.parametrize("tuned", [False, True])
@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "electra"])
def test_the_last_layers_of_bert_may_be_fresh(family: str, tuned: bool, tmp_path: Path) -> None:
    sizes = {"dim": 32, "hidden_dim": 64, "n_layers": 2} if family == "distilbert" else {}
    tiny.write_checkpoint(tmp_path, family, **sizes)
    auto = AutoModelForSequenceClassification if tuned else AutoModel
    trained = auto.from_pretrained(tmp_path)
    with torch.no_grad():
        for weight in trained.parameters():
            weight.add_(0.5)  # as no fresh weight is
    trained.save_pretrained(tmp_path)
    sha256(tmp_path / "model.safetensors")  # as the params' revision asks for it
    whole, fresh, same, other = (
        build("bert", tmp_path, seed, dropout=None, fresh_layers=count)
        for seed, count in ((1, 0), (1, 1), (1, 1), (2, 1))
    )
    of_whole, drawn, again, others = (m.state_dict() for m in (whole, fresh, same, other))
    encoder = f"{whole.base_model_prefix}."
    parts = ("encoder.layer.1.", "transformer.layer.1.", "pooler.")
    above = tuple(f"{encoder}{part}" for part in parts)
    for name, weight in of_whole.items():
        is_fresh = name.startswith(above) or (tuned and not name.startswith(encoder))
        if name.startswith(encoder) or tuned:
            assert torch.equal(drawn[name], weight) != is_fresh, name
        if is_fresh:
            norm = "norm" in name.lower() and name.endswith("weight")
            assert abs(drawn[name].mean().item() - norm) < 0.02, name
        assert torch.equal(drawn[name], again[name])
    (head,) = (name for name in drawn if re.fullmatch(r"classifier\.(out_proj\.)?weight", name))
    assert not torch.equal(drawn[head], others[head])


def test_an_encoder_of_another_size_is_refused(tmp_path: Path) -> None:
    tiny.write_checkpoint(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    config["max_position_embeddings"] *= 2
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    missing = (
        r"lacks weights of the encoder: bert\.embeddings\.position_embeddings\.weight \(which has "
        r"another size there\); its config\.json and model\.safetensors do not belong together"
    )
    with pytest.raises(RetuneError, match=missing):
        build("bert", tmp_path)


@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_the_lstm_equals_torch_over_packed_sequences(pooling: str, checkpoint: Path) -> None:
    model, batch = build("lstm", checkpoint, pooling=pooling), texts([3, 11, 7], 12)
    weights = dict(model.named_parameters())
    reference = torch.nn.LSTM(12, 10, batch_first=True, bidirectional=True)
    with torch.no_grad():
        for name, weight in reference.named_parameters():
            way = "back" if name.endswith("_reverse") else "ahead"
            weight.copy_(weights[f"lstm.{way}.{name.removesuffix('_reverse')}"])
        lengths = batch["attention_mask"].sum(1)
        vectors = weights["embedding.weight"][batch["input_ids"]]
        packed = pack_padded_sequence(vectors, lengths, batch_first=True, enforce_sorted=False)
        states, (last, _) = reference(packed)
        rows, _ = torch.nn.utils.rnn.pad_packed_sequence(states, batch_first=True)
        mean = rows.sum(1) / lengths[:, None]
        pooled = mean if pooling == "mean" else torch.cat([last[0], last[1]], dim=-1)
        expected = pooled @ weights["output.weight"].T + weights["output.bias"]
    torch.testing.assert_close(logits(model, batch), expected, atol=1e-5, rtol=1e-4)


def test_the_bag_knows_no_order_and_the_others_do(checkpoint: Path) -> None:
    batch = texts([8], 8)
    turned = batch | {"input_ids": batch["input_ids"].flip(1)}
    same = {
        name: torch.allclose(logits(model, batch), logits(model, turned), atol=1e-6)
        for name in NAMES
        for model in [build(name, checkpoint)]
    }
    assert same == {"bert": False, "lstm": False, "bag_of_embeddings": True}


@pytest.mark.parametrize("name", ["lstm", "bag_of_embeddings"])
def test_embeddings_are_the_checkpoints_or_random(name: str, checkpoint: Path) -> None:
    from retune.models.encoders import load_encoder_embeddings

    words = load_encoder_embeddings(checkpoint)
    model = build(name, checkpoint, pretrained_embeddings=True, freeze_embeddings=True)
    weight = model.embedding.weight
    assert torch.equal(weight, words)
    assert not weight.requires_grad
    fresh = build(name, checkpoint, pretrained_embeddings=False).embedding.weight
    assert fresh.shape == (VOCABULARY, 12)
    assert fresh.requires_grad
    with pytest.raises(ValidationError, match="freeze_embeddings would keep random embeddings"):
        replace(PARAMS[name], pretrained_embeddings=False, freeze_embeddings=True)
    with pytest.raises(RetuneError, match="do not belong together"):
        MODULES[name].build(
            replace(PARAMS[name], pretrained_embeddings=True), checkpoint, VOCABULARY + 1, 0
        )


def test_the_lstm_refuses_padding_on_the_left(checkpoint: Path) -> None:
    batch = {key: rows.flip(1) for key, rows in texts([3, 5], 5).items()}
    with pytest.raises(RetuneError, match="lstm: a text is padded on the left"):
        build("lstm", checkpoint)(**batch)


def test_batches_are_padded_to_the_longest_on_the_tokenizers_side() -> None:
    import numpy as np

    rows = [Row(np.array(ids, np.int32), label) for ids, label in [([5, 6, 7], 1), ([8], 0)]]
    batch = Collator(pad_token_id=9, pad_left=False, max_length=None)(rows)
    assert batch["input_ids"].shape == (2, 8)
    assert batch["input_ids"][1].tolist() == [8, *[9] * 7]
    assert batch["attention_mask"].sum(1).tolist() == [3, 1]
    assert batch["labels"].tolist() == [1, 0]
    left = Collator(pad_token_id=9, pad_left=True, max_length=4)(rows)
    assert left["input_ids"].tolist() == [[9, 5, 6, 7], [9, 9, 9, 8]]
    assert left["attention_mask"].tolist() == [[0, 1, 1, 1], [0, 0, 0, 1]]
    nothing = Collator(pad_token_id=9, pad_left=False, max_length=None)([])
    assert nothing["labels"].tolist() == [-100]
