import functools
import importlib
import inspect
from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import tiny
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from transformers import (
    BertConfig,
    BertForQuestionAnswering,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    PreTrainedModel,
    RobertaConfig,
    RobertaModel,
)

from retune.adapters import bundles
from retune.adapters.adapter_reuse import BundleParams
from retune.core.errors import RetuneError
from retune.core.files import sha256
from retune.core.params import module_names
from retune.models.positions import max_positions
from retune.models.pretrained_files import PretrainedParams
from retune.tasks.qa.models import (
    bert,
    bert_adapter,
    bert_adapter_fusion,
    bert_lora,
    bilstm_attention,
    lstm,
    transformer,
    transformer_encoder,
)
from retune.tasks.qa.predict import reader

VOCABULARY, PAD, HIDDEN = 60, 0, 16
Batch = dict[str, torch.Tensor]

SMALL: dict[str, Any] = {
    "bert": bert.Params(dropout=None),
    "bert_adapter": bert_adapter.Params("pfeiffer", 2, "gelu", "whole", None, None, None),
    "bert_lora": bert_lora.Params(4, 16.0, 0.1, ["query", "value", "dense"], None),
    "lstm": lstm.Params(embedding_size=12, hidden_size=16),
    "transformer": transformer.Params(
        embedding_size=16, attention_heads=2, feed_forward_size=24, dropout=0.1
    ),
    "bilstm_attention": bilstm_attention.Params(
        embedding_size=12,
        hidden_size=10,
        dropout=0.1,
        pretrained_embeddings=False,
        freeze_embeddings=False,
    ),
    "transformer_encoder": transformer_encoder.Params(
        hidden_size=24,
        layers=2,
        attention_heads=2,
        feed_forward_size=32,
        max_positions=40,
        dropout=0.1,
        pretrained_embeddings=True,
    ),
}
FROZEN = ["bert_adapter", "bert_adapter_fusion", "bert_lora"]
VARIANTS = [*SMALL, "bert_adapter_fusion"]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT in the layout of `save_pretrained`, without a span head."""
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=40,
    )
    return saved(BertModel(config), tmp_path_factory.mktemp("bert"))


def saved(model: PreTrainedModel, folder: Path) -> Path:
    model.save_pretrained(folder)
    return folder


def build(variant: str, checkpoint: Path, seed: int = 0, params: Any = None) -> PreTrainedModel:
    params = params or small(variant, checkpoint)
    torch.manual_seed(seed)
    module = importlib.import_module(f"retune.tasks.qa.models.{variant}")
    model: PreTrainedModel = module.build(params, checkpoint, VOCABULARY, PAD)
    return model


def small(variant: str, checkpoint: Path) -> Any:
    if variant != "bert_adapter_fusion":
        return SMALL[variant]
    return bert_adapter_fusion.Params(None, list(map(bundle, lent(checkpoint))), None)


def bundle(folder: Path) -> BundleParams:
    return BundleParams(str(folder), None)


@functools.cache
def lent(checkpoint: Path) -> list[Path]:
    """Bundles of two adapters on the encoder."""
    return [
        tiny.write_bundle(checkpoint.with_name(f"{checkpoint.name}-{name}"), checkpoint, name,
                          reduction=2)
        for name in ("qa", "entities")
    ]  # fmt: skip


def published(model: PreTrainedModel, checkpoint: Path, folder: Path) -> Path:
    """The model as the train stage leaves it."""
    if not bundles.is_bundle(model):
        return saved(model, folder)
    base = PretrainedParams(str(checkpoint), sha256(checkpoint / "model.safetensors"))
    bundles.publish(saved(model, folder / "work"), folder / "model", tiny.wordpiece(), base)
    return folder / "model"


def windows(lengths: list[int], total: int, seed: int = 3) -> Batch:
    """Right-padded windows: CLS (2), question, SEP (3), context, SEP (3)."""
    generator = torch.Generator().manual_seed(seed)
    batch = {name: torch.zeros(len(lengths), total, dtype=torch.long) for name in NAMES}
    for row, length in enumerate(lengths):
        ids = 5 + torch.randperm(VOCABULARY - 5, generator=generator)[:length]
        middle = length // 3
        ids[middle : middle + 1] = ids[-1:] = 3
        ids[:1] = 2
        batch["input_ids"][row, :length] = ids
        batch["attention_mask"][row, :length] = 1
        batch["token_type_ids"][row, middle + 1 : length] = 1
    return batch


NAMES = ("input_ids", "attention_mask", "token_type_ids")


def logits(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
    """Start and end logits, (2, B, T), in evaluation mode."""
    model.eval()
    with torch.no_grad():
        output = model(**batch)
    return torch.stack([output.start_logits, output.end_logits])


def span_loss(model: PreTrainedModel, batch: Batch, spans: torch.Tensor) -> torch.Tensor:
    output = model(**batch)
    loss = torch.nn.functional.cross_entropy
    return loss(output.start_logits, spans[0]) + loss(output.end_logits, spans[1])


def test_every_variant_is_tried_here() -> None:
    assert set(VARIANTS) <= set(module_names("retune.tasks.qa.models"))


@pytest.mark.parametrize("variant", module_names("retune.tasks.qa.models"))
def test_variant_keeps_the_contract(variant: str) -> None:
    module: ModuleType = importlib.import_module(f"retune.tasks.qa.models.{variant}")
    assert is_dataclass(module.Params)
    names = ["params", "pretrained", "vocabulary_size", "pad_token_id"]
    assert list(inspect.signature(module.build).parameters) == names


@pytest.mark.parametrize("variant", VARIANTS)
def test_variant_imports_no_other(variant: str) -> None:
    source = inspect.getsource(importlib.import_module(f"retune.tasks.qa.models.{variant}"))
    assert "retune.tasks.qa.models" not in source.replace(f"retune.tasks.qa.models.{variant}", "")


@pytest.mark.parametrize(
    ("module", "params", "expected"),
    [
        (lstm, lstm.Params(768, 768), 28_167_170),
        (transformer, transformer.Params(768, 12, 2048, 0.1), 28_956_418),
    ],
)
def test_notebook_models_have_the_published_sizes(
    module: ModuleType, params: Any, expected: int, checkpoint: Path
) -> None:
    with torch.device("meta"):
        model = module.build(params, checkpoint, 30_522, PAD)
    assert model.num_parameters() == expected


@pytest.mark.parametrize("variant", VARIANTS)
def test_logits_have_one_value_for_each_token(variant: str, checkpoint: Path) -> None:
    output = build(variant, checkpoint)(**windows([12, 9, 7], 14))
    assert output.loss is None
    assert output.start_logits.shape == output.end_logits.shape == (3, 14)


@pytest.mark.parametrize("variant", VARIANTS)
def test_padding_changes_no_logit_of_a_real_token(variant: str, checkpoint: Path) -> None:
    model, lengths = build(variant, checkpoint), [15, 3, 9]
    batch = windows(lengths, 15)
    padded = {name: torch.nn.functional.pad(rows, (0, 20)) for name, rows in batch.items()}
    padded["input_ids"][padded["attention_mask"] == 0] = 7
    together, wider = logits(model, batch), logits(model, padded)
    for row, length in enumerate(lengths):
        alone = {name: rows[row : row + 1, :length] for name, rows in batch.items()}
        expected = logits(model, alone)[:, 0]
        torch.testing.assert_close(together[:, row, :length], expected, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(wider[:, row, :length], expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("variant", VARIANTS)
def test_short_and_empty_rows_give_finite_logits_and_gradients(
    variant: str, training: bool, checkpoint: Path
) -> None:
    model = build(variant, checkpoint).train(training)
    output = model(**windows([0, 1, 2, 8], 10))
    total = output.start_logits.sum() + output.end_logits.sum()
    total.backward()
    assert torch.isfinite(total)
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(torch.isfinite(grad).all() for grad in grads)
    assert torch.isfinite(logits(model, windows([0, 1, 2, 8], 10))).all()


@pytest.mark.parametrize("variant", VARIANTS)
def test_gradient_reaches_every_parameter(variant: str, checkpoint: Path) -> None:
    model = build(variant, checkpoint)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:  # zero at first, and with it the gradient of lora_A
                weight.normal_()
    span_loss(model, windows([12, 9], 12), torch.tensor([[5, 4], [6, 6]])).backward()
    without = [
        name
        for name, p in model.named_parameters()
        if p.requires_grad and (p.grad is None or not p.grad.abs().sum() > 0)
    ]
    # The softmax over keys takes no notice of a constant added to all of them.
    assert [name for name in without if not name.endswith("key.bias")] == []


@pytest.mark.parametrize("variant", VARIANTS)
def test_saved_model_gives_the_same_bits(variant: str, checkpoint: Path, tmp_path: Path) -> None:
    model, batch = build(variant, checkpoint), windows([12, 9, 4], 12)
    folder = published(model, checkpoint, tmp_path)
    loaded = reader.load(variant, folder)
    assert not loaded.training
    assert torch.equal(logits(loaded, batch), logits(model, batch))
    weights = bundles.FILE if bundles.is_bundle(model) else "model.safetensors"
    assert {"config.json", weights} <= {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("variant", VARIANTS)
def test_same_seed_gives_the_same_weights_and_another_seed_others(
    variant: str, checkpoint: Path
) -> None:
    one, same, other = (build(variant, checkpoint, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("variant", VARIANTS)
def test_bfloat16_autocast_stays_near_float32(variant: str, checkpoint: Path) -> None:
    model, batch = build(variant, checkpoint), windows([12, 9, 1], 12)
    exact = logits(model, batch)
    with torch.autocast("cpu", torch.bfloat16):
        rough = logits(model, batch)
        span_loss(model.train(), batch, torch.tensor([[5, 4, 0], [6, 6, 0]])).backward()
    torch.testing.assert_close(rough.float(), exact, atol=0.1, rtol=0.1)


@pytest.mark.parametrize("variant", VARIANTS)
def test_few_windows_are_learned_by_heart(variant: str, checkpoint: Path) -> None:
    """Without dropout, which in layers of 16 units keeps the loss so high that rounding decides."""
    torch.manual_seed(0)
    model, batch = build(variant, checkpoint).eval(), windows([14, 12, 10, 9, 11, 13], 14)
    # The last is "no answer", at CLS; starts and ends differ, since tokens do.
    spans = torch.tensor([[7, 8, 6, 5, 9, 0], [9, 8, 7, 7, 9, 0]])
    if variant == "bert_adapter_fusion":  # of adapters that say something
        for name, weight in model.named_parameters():
            if ".adapters." in name:
                torch.nn.init.normal_(weight, std=0.5)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    steps = 400 if variant in FROZEN else 150  # little of them is trained
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
    for _ in range(steps):
        optimizer.zero_grad()
        span_loss(model, batch, spans).backward()
        optimizer.step()
        schedule.step()
    found = logits(model, batch)
    assert torch.equal(found.argmax(dim=-1), spans)
    best, second = found.topk(2).values.unbind(dim=-1)
    assert (best - second > 1).all()  # rounding moves a logit by far less


@pytest.mark.parametrize("variant", ["bilstm_attention", "transformer_encoder", "bert"])
def test_segments_are_seen(variant: str, checkpoint: Path) -> None:
    model, batch = build(variant, checkpoint), windows([12], 12)
    moved = batch | {"token_type_ids": batch["token_type_ids"].roll(1, dims=1)}
    assert not torch.allclose(logits(model, batch), logits(model, moved), atol=1e-6)


def test_lstm_equals_rows_run_one_by_one(checkpoint: Path) -> None:
    model, lengths = build("lstm", checkpoint), [3, 11, 7]
    batch = windows(lengths, 12)
    found = logits(model, batch)
    for row, length in enumerate(lengths):
        ids = batch["input_ids"][row, :length]
        expected = lstm_by_hand(dict(model.named_parameters()), ids)
        torch.testing.assert_close(found[:, row, :length], expected, atol=1e-5, rtol=1e-4)


def lstm_by_hand(weights: dict[str, torch.Tensor], ids: torch.Tensor) -> torch.Tensor:
    """Hochreiter and Schmidhuber's cell, token by token; logits (2, T)."""
    hidden = cell = torch.zeros(SMALL["lstm"].hidden_size)
    outputs = []
    for vector in weights["embedding.weight"][ids]:
        gates = weights["lstm.weight_ih_l0"] @ vector + weights["lstm.bias_ih_l0"]
        gates = gates + weights["lstm.weight_hh_l0"] @ hidden + weights["lstm.bias_hh_l0"]
        enter, forget, new, leave = gates.chunk(4)
        cell = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
        hidden = leave.sigmoid() * cell.tanh()
        outputs.append(weights["output.weight"] @ hidden + weights["output.bias"])
    return torch.stack(outputs, dim=1).detach()


def test_transformer_has_no_positions(checkpoint: Path) -> None:
    model, batch = build("transformer", checkpoint), windows([10], 10)
    order = torch.randperm(10)
    shuffled = {name: rows[:, order] for name, rows in batch.items()}
    expected = logits(model, batch)[:, :, order]
    torch.testing.assert_close(logits(model, shuffled), expected, atol=1e-5, rtol=1e-4)


def test_masked_softmax_is_zero_where_nothing_is_allowed() -> None:
    mask = torch.tensor([[True, False, True], [False, False, False]])
    found = bilstm_attention.masked_softmax(torch.tensor([[1.0, 9.0, 1.0], [1.0, 2.0, 3.0]]), mask)
    assert found.tolist() == [[0.5, 0.0, 0.5], [0.0, 0.0, 0.0]]


@pytest.mark.parametrize("variant", ["lstm", "bilstm_attention"])
def test_left_padding_is_refused(variant: str, checkpoint: Path) -> None:
    batch = {name: rows.flip(1) for name, rows in windows([6, 4], 6).items()}
    with pytest.raises(RetuneError, match=f"{variant}: a window is padded on the left"):
        build(variant, checkpoint)(**batch)


def test_bilstm_attention_without_segments_is_refused(checkpoint: Path) -> None:
    batch = windows([6], 6)
    with pytest.raises(RetuneError, match="needs token_type_ids"):
        build("bilstm_attention", checkpoint)(batch["input_ids"], batch["attention_mask"])


def test_transformer_encoder_does_without_segments(checkpoint: Path) -> None:
    batch = windows([6], 6)
    output = build("transformer_encoder", checkpoint)(batch["input_ids"], batch["attention_mask"])
    assert torch.isfinite(output.start_logits).all()


def test_window_longer_than_the_positions_is_refused(checkpoint: Path) -> None:
    with pytest.raises(RetuneError, match="windows of 41 tokens, but the model has 40 positions"):
        build("transformer_encoder", checkpoint)(**windows([41], 41))


def test_pretrained_embeddings_are_the_checkpoints(checkpoint: Path) -> None:
    expected = load_file(checkpoint / "model.safetensors")["embeddings.word_embeddings.weight"]
    reader = build("bilstm_attention", checkpoint, params=reader_params(freeze=True))
    encoder = build("transformer_encoder", checkpoint)
    assert torch.equal(reader.get_parameter("embedding.weight"), expected)
    assert torch.equal(encoder.get_parameter("embeddings.words.weight"), expected)


def reader_params(freeze: bool) -> bilstm_attention.Params:
    return bilstm_attention.Params(
        embedding_size=5,
        hidden_size=4,
        dropout=0.0,
        pretrained_embeddings=True,
        freeze_embeddings=freeze,
    )


@pytest.mark.parametrize("freeze", [True, False])
def test_only_frozen_embeddings_are_kept_from_training(freeze: bool, checkpoint: Path) -> None:
    model = build("bilstm_attention", checkpoint, params=reader_params(freeze))
    fixed = [name for name, p in model.named_parameters() if not p.requires_grad]
    assert fixed == ["embedding.weight"] * freeze


@pytest.mark.parametrize(
    "module", [bert, bert_adapter, bert_lora, bilstm_attention, transformer_encoder]
)
def test_checkpoint_with_too_few_embeddings_is_refused(
    module: ModuleType, checkpoint: Path
) -> None:
    params = reader_params(freeze=True)
    if module is not bilstm_attention:
        params = SMALL[module.__name__.rsplit(".", 1)[1]]
    with pytest.raises(RetuneError, match="embeddings for 60 tokens, but its tokenizer has 61"):
        module.build(params, checkpoint, VOCABULARY + 1, PAD)


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValidationError, match="embedding_size must be a multiple"):
        transformer.Params(10, 3, 8, 0.1)
    with pytest.raises(ValidationError, match="hidden_size must be a multiple"):
        transformer_encoder.Params(10, 1, 3, 8, 40, 0.1, False)
    with pytest.raises(ValidationError, match="would keep random embeddings"):
        bilstm_attention.Params(10, 8, 0.1, False, True)


def test_bert_equals_transformers_own(checkpoint: Path) -> None:
    model, batch = build("bert", checkpoint), windows([12, 9, 4], 12)
    assert isinstance(model, BertForQuestionAnswering)
    theirs = BertForQuestionAnswering.from_pretrained(checkpoint)
    theirs.qa_outputs.load_state_dict(model.qa_outputs.state_dict())
    assert torch.equal(logits(model, batch), logits(theirs, batch))


def test_bert_keeps_a_span_head_that_the_checkpoint_brings(
    checkpoint: Path, tmp_path: Path
) -> None:
    first, batch = build("bert", checkpoint, seed=5), windows([12], 12)
    again = build("bert", saved(first, tmp_path), seed=6)
    assert torch.equal(logits(first, batch), logits(again, batch))


@pytest.mark.parametrize(("dropout", "expected"), [(None, 0.1), (0.0, 0.0), (0.3, 0.3)])
def test_bert_dropout_is_its_own_or_the_one_of_params(
    dropout: float | None, expected: float, checkpoint: Path
) -> None:
    model = build("bert", checkpoint, params=bert.Params(dropout=dropout))
    layers = [layer.p for layer in model.modules() if isinstance(layer, torch.nn.Dropout)]
    assert set(layers) == {expected}
    assert model.config.attention_probs_dropout_prob == expected


def test_bert_with_weights_missing_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    saved(BertModel.from_pretrained(checkpoint), tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    del weights["encoder.layer.1.output.dense.weight"]
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    missing = r"lacks weights of the encoder: bert\.encoder\.layer\.1\.output\.dense\.weight"
    with pytest.raises(RetuneError, match=missing):
        build("bert", tmp_path)


@pytest.mark.parametrize("config", ['{"model_type": "unheard-of"}', '{"model_type": "vit"}', "{"])
def test_checkpoint_of_no_question_answering_model_is_refused(config: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(config)
    refusal = r"^transformers cannot load|config\.json: not valid JSON"
    with pytest.raises(RetuneError, match=refusal):
        build("bert", tmp_path)


@pytest.fixture
def roberta(tmp_path: Path) -> Path:
    config = RobertaConfig(
        vocab_size=VOCABULARY,
        hidden_size=HIDDEN,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=32,
        type_vocab_size=1,
    )
    return saved(RobertaModel(config), tmp_path)


@pytest.fixture
def distilbert(tmp_path: Path) -> Path:
    config = DistilBertConfig(
        vocab_size=VOCABULARY,
        dim=HIDDEN,
        n_layers=1,
        n_heads=2,
        hidden_dim=24,
        max_position_embeddings=30,
    )
    return saved(DistilBertModel(config), tmp_path)


@pytest.mark.parametrize("family", ["roberta", "distilbert"])
def test_encoder_without_segments_takes_its_longest_window(
    family: str, request: pytest.FixtureRequest
) -> None:
    model = build("bert", request.getfixturevalue(family))
    assert not reader.accepts_token_types(model)
    longest = max_positions(model)
    assert longest == 30
    batch = windows([longest], longest)
    del batch["token_type_ids"]
    batch["input_ids"].clamp_(min=5)  # no padding id of any family among the real tokens
    assert logits(model, batch).shape == (2, 1, longest)


def test_distilbert_dropout_is_the_one_of_params(distilbert: Path) -> None:
    model = build("bert", distilbert, params=bert.Params(dropout=0.4))
    assert (model.config.dropout, model.config.attention_dropout) == (0.4, 0.4)


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ("bert", 40),
        ("bert_adapter", 40),
        ("bert_adapter_fusion", 40),
        ("bert_lora", 40),
        ("lstm", None),
        ("transformer", None),
        ("bilstm_attention", None),
        ("transformer_encoder", 40),
    ],
)
def test_limits_are_told(variant: str, expected: int | None, checkpoint: Path) -> None:
    model = build(variant, checkpoint)
    assert max_positions(model) == expected
    assert reader.accepts_token_types(model)
