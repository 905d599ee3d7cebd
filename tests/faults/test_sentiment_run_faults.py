"""Augmentations that make nothing, features and runs that are not what they seem: rows L."""

import json
import math
import re
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import tiny
from pydantic import TypeAdapter, ValidationError
from sentiment_runs import OPTIMIZATION, run, write_data, write_features
from transformers import TrainingArguments

from retune.core import manifests
from retune.core.errors import RetuneError
from retune.core.files import read_json, write_json_lines
from retune.core.params import Params
from retune.tasks.sentiment.augment.augment import augment
from retune.tasks.sentiment.augmenting import back_translation, rules
from retune.tasks.sentiment.models import bert
from retune.tasks.sentiment.models.bag_of_embeddings import (
    BagOfEmbeddingsForSequenceClassification as Bag,
)
from retune.tasks.sentiment.texts.examples import Example, write_examples
from retune.tasks.sentiment.texts.features import read_rows, row_writer
from retune.tasks.sentiment.texts.predictions import read_gold, read_seeds, seed_folders
from retune.tasks.sentiment.tokenize.tokenize import TokenizeParams, tokenize
from retune.tasks.sentiment.train.train import TrainParams
from retune.training.trainer import JointTrainer


def case(name: str, *values: Any) -> Any:
    return pytest.param(*values, id=name)


def example(name: str, text: str) -> Example:
    return Example(name, text, 1, None, None)


@pytest.mark.parametrize(
    ("text", "fate"),
    [
        case("L13 empty", "", "empty"),
        case("L13 unchanged", "Good ", "unchanged"),
        case("L13 as another row", " BAD", "duplicate"),
        case("L13 as one of validation", "lovely", "in_validation"),
    ],
)
def test_candidates_that_say_nothing_new_are_counted_and_the_originals_stay(
    text: str, fate: str, tmp_path: Path
) -> None:
    raw = tmp_path / "raw"
    write_examples(raw / "train.jsonl", [example("train-1", "good"), example("train-2", "bad")])
    write_examples(raw / "validation.jsonl", [example("validation-1", "Lovely")])

    def made(rows: Sequence[Example]) -> Iterable[Example]:
        return [Example("train-1-x", text, 1, "train-1", "x")]

    said = augment(raw, tmp_path / "more", tmp_path / "more.json", made=made)
    assert said == f"2 texts and 0 made of them, 1 {fate}"
    written = (tmp_path / "more" / "train.jsonl").read_bytes()
    assert written == (raw / "train.jsonl").read_bytes()


PIN = {"name": "./absent", "revision": "0" * 64}
PIVOTS = {
    "beams": 1,
    "batch_size": 4,
    "max_length": 12,
    "pivots": {"fr": {"there": PIN, "back": PIN}},
}
RULES = {"seed": 1, "share": 0.5, "synonyms": 1, "paraphrases": 0, "dropout": 0, "swaps": 0}


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        case("L14 no rule", rules.Params, RULES | {"synonyms": 0}, "all rules are 0; for no augme"),
        case("L14 a share of nothing", rules.Params, RULES | {"share": 0.0}, "share"),
        case("L15 no pivot", back_translation.Params, PIVOTS | {"pivots": {}}, "pivots"),
        case("L15 no way back", back_translation.Params,
             PIVOTS | {"pivots": {"fr": {"there": PIN}}}, "back"),
        case("L15 a pivot by a strange name", back_translation.Params,
             PIVOTS | {"pivots": {"F R": PIVOTS["pivots"]}}, "pivots"),
    ],
)  # fmt: skip
def test_augmentation_that_can_make_nothing_is_refused(
    kind: Any, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        TypeAdapter(kind).validate_json(json.dumps(settings))


@pytest.mark.parametrize("way", [case("L15 a translator that is not there", "there")])
def test_a_missing_translator_is_named_by_its_section(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETUNE_CACHE", str(tmp_path))
    params = TypeAdapter(back_translation.Params).validate_json(json.dumps(PIVOTS))
    place = r"sentiment\.augment\.methods\.back_translation\.pivots\.fr\."
    with pytest.raises(RetuneError, match=rf"^{place}{way}\.name: no such folder: absent"):
        list(back_translation.augmented([example("a", "good")], params))


@pytest.mark.parametrize("method", [case("L14 an unknown method", "back-translation")])
def test_an_unknown_method_is_answered_with_those_that_there_are(
    method: str, tmp_path: Path
) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(f"sentiment: {{augment: {{method: {method}, methods: {{}}}}}}\n")
    allowed = "sentiment.augment.method: no 'back-translation'; allowed: back_translation, none, r"
    with pytest.raises(RetuneError, match=allowed), Params(path) as params:
        params.variant(
            "sentiment.augment.method",
            "retune.tasks.sentiment.augmenting",
            "sentiment.augment.methods",
        )


def with_text(folder: Path, split: str, text: str) -> None:
    """Features of a split with one text."""
    for name in ("train", "validation"):
        said = text if name == split else "the bridge"
        write_examples(folder / f"{name}.jsonl", [example(f"{name}-1", said)])
    tokenize(folder, folder, folder / "features", folder / "f.json",
             tokenizer=tiny.wordpiece(), params=TokenizeParams(6))  # fmt: skip


@pytest.mark.parametrize("text", [case("L16 a text of which nothing remains", "\u0007")])
def test_a_text_without_tokens_is_refused_in_train_and_told_in_validation(
    text: str, tmp_path: Path
) -> None:
    with pytest.raises(RetuneError, match=r"train\.jsonl: .* keeps nothing of the text of train-1"):
        with_text(tmp_path, "train", text)
    with_text(tmp_path, "validation", text)
    told = read_json(tmp_path / "f.json")["sentiment"]["texts"][1]
    assert told["ids_without_tokens"] == ["validation-1"]


@pytest.mark.parametrize("text", [case("L16 a text that is too long", "bridge " * 40)])
def test_a_text_that_is_cut_is_counted_with_its_id(text: str, tmp_path: Path) -> None:
    with_text(tmp_path, "train", text)
    told = read_json(tmp_path / "f.json")["sentiment"]["texts"][0]
    assert (told["cut"], told["cut_ids"], told["longest"]) == (1, ["train-1"], 6)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        case("L17 no features", None, "no such file; run the tokenize stage"),
        case("L17 torn features", b"\x00\x01", "damaged"),
        case("L17 none at all", ([], []), "has no rows"),
        case(
            "L17 a label that there is not", ([[1], [2]], [1, 2]), "row 1: the label 2 is none of"
        ),
    ],
)
def test_features_that_are_not_whole_are_refused(rows: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "train.arrow"
    if isinstance(rows, bytes):
        path.write_bytes(rows)
    elif rows:
        with row_writer(path) as writer:
            if rows[0]:
                writer.write(*rows)
    with pytest.raises(RetuneError, match=message):
        read_rows(path)


@pytest.mark.parametrize("column", [case("L17 other columns", "x")])
def test_features_with_other_columns_are_refused(column: str, tmp_path: Path) -> None:
    with pa.ipc.new_stream(str(tmp_path / "a.arrow"), pa.schema({column: pa.int8()})):
        pass
    with pytest.raises(RetuneError, match="its columns are x, not input_ids, label"):
        read_rows(tmp_path / "a.arrow")


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        case("L18 no seed", [], r"sentiment\.seeds: \[\] must name one seed or more"),
        case("L18 a seed twice", [1, 2, 1], r"\[1, 2, 1\] must name .* each of them once"),
    ],
)
def test_seeds_that_make_no_spread_are_refused(
    seeds: list[int], message: str, tmp_path: Path
) -> None:
    with pytest.raises(RetuneError, match=message):
        seed_folders(tmp_path, seeds)


@pytest.mark.parametrize(
    ("ids", "models", "message"),
    [
        case(
            "L18 one model under two seeds", ["v-1"], "aa", "the seeds 1, 2 have predictions of t"
        ),
        case("L19 predictions of other texts", ["v-2"], "ab", "its texts are not those of the raw"),
        case("L19 texts without a prediction", [], "ab", "its texts are not those of the raw"),
    ],
)
def test_predictions_that_do_not_belong_together_are_refused(
    ids: list[str], models: str, message: str, tmp_path: Path
) -> None:
    write_examples(tmp_path / "validation.jsonl", [example("v-1", "good")])
    folders = seed_folders(tmp_path, [1, 2])
    for folder, model in zip(folders.values(), models, strict=True):
        rows = ({"id": name, "logits": [0.0, 1.0], "positive": 0.7} for name in ids)
        write_json_lines(folder / "predictions.jsonl", rows)
        manifests.seal(folder, {"inputs": {"model": model}, "params": {}})
    with pytest.raises(RetuneError, match=message):
        read_seeds(folders, read_gold(tmp_path))


_EPSILON, _DECAY = {"adversarial_epsilon": 0.5}, {"ema_decay": 0.9}
_DEEPSPEED = (
    (JointTrainer, "is_deepspeed_enabled"),
    property(lambda trainer: hasattr(trainer, "score"), lambda *_: None),  # once made
)


@pytest.mark.parametrize(
    ("changes", "place", "value", "message"),
    [
        case("L20 DeepSpeed", _EPSILON, *_DEEPSPEED,
             "RETUNE_LAUNCH asks for DeepSpeed, which makes one pass a step; set "
             "adversarial_epsilon to 0, or launch without DeepSpeed"),
        case("L20 several GPUs of one process", _EPSILON, (TrainingArguments, "n_gpu"), 2,
             "2 GPUs are used by one process; set adversarial_epsilon to 0, or start a process "
             "for each by RETUNE_LAUNCH"),
        case("L20 no embeddings", _EPSILON, (Bag, "_input_embed_layer"), "absent",
             "BagOfEmbeddingsForSequenceClassification does not expose its embeddings; set "
             "adversarial_epsilon to 0, or choose another model"),
        case("L20 other embeddings", _EPSILON, (Bag, "_input_embed_layer"), "output",
             "BagOfEmbeddingsForSequenceClassification does not embed a batch in one call; set "
             "adversarial_epsilon to 0, or choose another model"),
        case("L21 DeepSpeed", _DECAY, *_DEEPSPEED,
             "RETUNE_LAUNCH asks for DeepSpeed, which has weights of its own; set ema_decay to 0, "
             "or launch without DeepSpeed"),
    ],
)  # fmt: skip
def test_what_a_training_cannot_do_is_refused(
    changes: dict[str, float], place: tuple[type, str], value: Any, message: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    write_features(write_data(tmp_path))
    monkeypatch.setattr(*place, value, raising=False)
    ((name, number),) = changes.items()
    told = f"sentiment.train.{name} is {number} (in params.yaml or by the variant), but {message}"
    with pytest.raises(RetuneError, match=f"^{re.escape(told)}$"):
        run(tmp_path, tmp_path / "run", **changes)
    assert not (tmp_path / "run" / "model").exists()


@pytest.mark.parametrize("epsilon", [case("L20 below 0", -0.1), case("L20 no number", math.nan),
                                     case("L20 beyond all embeddings", 1e39)])  # fmt: skip
def test_an_epsilon_that_is_no_length_is_refused(epsilon: float) -> None:
    with pytest.raises(ValidationError, match="adversarial_epsilon"):
        TrainParams(**(OPTIMIZATION | {"adversarial_epsilon": epsilon}))


@pytest.mark.parametrize("decay", [case("L21 below 0", -0.1), case("L21 no number", math.nan),
                                   case("L21 of no step", 1.0)])  # fmt: skip
def test_a_decay_that_is_no_share_is_refused(decay: float) -> None:
    with pytest.raises(ValidationError, match="ema_decay"):
        TrainParams(**(OPTIMIZATION | {"ema_decay": decay}))


def test_l22_more_fresh_layers_than_there_are_or_fewer_than_none(tmp_path: Path) -> None:
    tiny.write_checkpoint(tmp_path)
    build = partial(bert.build, pretrained=tmp_path, vocabulary_size=9, pad_token_id=0)
    build(bert.Params(None, 2))
    expected = r"fresh_layers is 3, but \S+ has 2 layers with weights of their own; lower it$"
    with pytest.raises(RetuneError, match=expected):
        build(bert.Params(None, 3))
    with pytest.raises(ValidationError, match="fresh_layers"):
        bert.Params(dropout=None, fresh_layers=-1)
