"""Questions, contexts and tokenizers that make windows hard to cut: rows K01 to K16.

That parts written together have the bytes of parts written apart (K12), and that files hold
no time (K14), has tests of its own.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from runs import (
    OTHER,
    TOKENIZERS,
    answers,
    labels,
    lines,
    row,
    run_download,
    run_postprocess,
    run_tokenize,
    write_logits,
)

from retune.core.errors import RetuneError
from retune.core.files import sha256
from retune.models.pretrained_files import load_tokenizer
from retune.tasks.qa.predict.predict import PredictParams, predict
from retune.tasks.qa.windows.features import feature_batches
from retune.tasks.qa.windows.windows import Features

CONTEXT = "The lighthouse was built by Ada Berg in 1871."
LONG = " ".join(tiny.TEXTS)
PREDICT = PredictParams(batch_size=8, precision="fp32")


def case(name: str, *values: Any) -> Any:
    return pytest.param(*values, id=name)


def windows(folder: Path, split: str = "train") -> Features:
    (part,) = feature_batches(folder / "features" / f"{split}.arrow")
    return part


def cut(folder: Path, question: dict[str, Any], kind: Any, **changes: Any) -> dict[str, Any]:
    """The audit of train, where `question` stands alone."""
    run_download(folder, [question])
    return run_tokenize(folder, kind, **changes)[0]


@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize(
    ("words", "changes"),
    [
        case("K01 longer than a window", 500, {}),
        case("K01 as long as a window", 30, {"max_length": 32, "max_question_length": 8}),
        case("K02 leaves the overlap", 50, {"max_length": 64, "max_question_length": 51}),
    ],
)
def test_a_long_question_is_cut_from_the_right_and_counted(
    tmp_path: Path, kind: str, words: int, changes: dict[str, int]
) -> None:
    question = "why " * words + "now?"
    audit = cut(tmp_path, row("q", CONTEXT, "1871", question=question), kind, **changes)
    limit = changes.get("max_question_length", 12)
    ids = TOKENIZERS[kind](question, add_special_tokens=False)["input_ids"]
    lost = max(len(ids) - limit, 0)
    assert audit["question_cut"] == bool(lost)
    notes = lines(tmp_path / "features" / "train_notes.jsonl")
    assert notes == [
        {"id": "q", "kind": "question_cut", "detail": f"{lost} tokens cut off"}
    ] * bool(lost)
    part = windows(tmp_path)
    assert part.input_ids[1 : 1 + min(limit, len(ids))].tolist() == ids[:limit]
    assert max(part.lengths) <= changes.get("max_length", 64)
    assert labels(tmp_path)[0]  # the answer is still there to be learned


@pytest.mark.parametrize(
    "changes",
    [
        case("K01 no room for a context", {"max_question_length": 61}),
        case("K02 room for the overlap only", {"max_question_length": 53}),
    ],
)
def test_lengths_that_leave_no_room_are_refused_before_the_tokenizer_is_called(
    tmp_path: Path, changes: dict[str, int]
) -> None:
    run_download(tmp_path, [row("q", CONTEXT, "1871")])
    with pytest.raises(RetuneError, match=r"qa.tokenize: max_length 64 - 3 special tokens - max_q"):
        run_tokenize(tmp_path, **changes)
    assert not (tmp_path / "features").exists()


@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize(
    ("before", "behind"),
    [case("K03 before", " " * 200, ""), case("K03 behind", "", "\n \u3000" * 40),
     case("K03 both", "\t" * 40, " ")],
)  # fmt: skip
def test_white_space_at_a_questions_edges_takes_no_room_and_is_counted(
    tmp_path: Path, kind: str, before: str, behind: str
) -> None:
    plain = cut(tmp_path / "plain", row("q", LONG, "1871"), kind)
    spaced = cut(
        tmp_path / "spaced", row("q", LONG, "1871", question=f"{before}Who?{behind}"), kind
    )
    assert plain | {"question_trimmed": 1} == spaced
    one, two = (windows(tmp_path / name) for name in ("plain", "spaced"))
    assert repr(one) == repr(two)
    assert lines(tmp_path / "spaced" / "features" / "train_notes.jsonl") == [
        {"id": "q", "kind": "question_trimmed", "detail": "white space at its edges left out"}
    ]


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        case("K04 no question", "question", ""),
        case("K04 blank question", "question", " \n\u3000"),
        case("K05 no context", "context", ""),
        case("K05 blank context", "context", "\u2003 \t"),
    ],
)
def test_blank_texts_are_refused_in_both_splits(
    tmp_path: Path, split: str, field: str, value: str
) -> None:
    rows = [row("q", CONTEXT) | {field: value}]
    splits = {"train": [row("t", "sound", "sound")], "test": [OTHER]} | {split: rows}
    with pytest.raises(
        RetuneError, match=rf"{split}.jsonl: /{field} \(question 'q'\): the {field}"
    ):
        run_download(tmp_path, splits["train"], splits["test"], squad_v2=True)
    assert not (tmp_path / "raw").exists()


CONTROL = "\u0000\u0007\u200b"


def test_k05_a_train_context_without_tokens_stops_the_stage(tmp_path: Path) -> None:
    run_download(tmp_path, [row("q", CONTROL), row("q1", CONTEXT)], squad_v2=True)
    with pytest.raises(
        RetuneError, match="train: the tokenizer keeps nothing of the context of q,"
    ):
        run_tokenize(tmp_path, squad_v2=True)
    assert not (tmp_path / "features").exists()


@pytest.mark.parametrize("squad_v2", [case("K05 SQuAD 1.1", False), case("K05 SQuAD 2.0", True)])
def test_a_validation_context_without_tokens_is_answered_by_nothing_and_counted(
    tmp_path: Path, squad_v2: bool
) -> None:
    rows = [OTHER, row("empty", CONTROL, "\u200b")]
    run_download(tmp_path, [row("q1", CONTEXT, "1871")], rows, squad_v2=squad_v2)
    audit = run_tokenize(tmp_path, squad_v2=squad_v2)[1]
    assert (audit["questions"], audit["context_without_tokens"]) == (2, 1)
    write_logits(tmp_path)
    run_postprocess(tmp_path, squad_v2=squad_v2)
    assert answers(tmp_path).keys() == {"other", "empty"}
    assert answers(tmp_path)["empty"] == ""
    report = json.loads((tmp_path / "predictions" / "report.json").read_bytes())
    assert report["without_tokens"] == ["empty"]


def slow(folder: Path) -> None:
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "ByT5Tokenizer"}')
    (folder / "vocab.txt").touch()


def without(*names: str) -> Callable[[Path], None]:
    """Write a tokenizer without some of its special tokens."""

    def write(folder: Path) -> None:
        from transformers import PreTrainedTokenizerFast

        tokens = {name: f"[{name[:3].upper()}]" for name in ("cls_token", "sep_token", "pad_token")}
        for name in names:
            del tokens[name]
        backend = tiny.wordpiece().backend_tokenizer
        PreTrainedTokenizerFast(tokenizer_object=backend, **tokens).save_pretrained(folder)

    return write


@pytest.mark.parametrize(
    ("write", "message"),
    [
        case("K06 slow", slow, r"slow tokenizer \(ByT5Tokenizer\).*choose .* a fast tokenizer"),
        case("K07 no CLS", without("cls_token"), "has no cls_token; choose a pretrained encoder"),
        case("K07 no SEP", without("sep_token"), "has no sep_token; choose a pretrained encoder"),
        case("K07 no PAD", without("pad_token"), "has no pad_token; choose a pretrained encoder"),
        case("K07 none", without("cls_token", "sep_token", "pad_token"), "no cls_token, sep_token"),
    ],
)  # fmt: skip
def test_a_tokenizer_that_cannot_make_windows_is_refused(
    tmp_path: Path, write: Callable[[Path], None], message: str
) -> None:
    write(tmp_path)
    with pytest.raises(RetuneError, match=message):
        load_tokenizer(tmp_path)


def test_k07_a_pair_without_cls_has_no_place_for_no_answer(tmp_path: Path) -> None:
    tokenizer = tiny.wordpiece()
    tokenizer.cls_token = "[MASK]"
    with pytest.raises(RetuneError, match="puts no CLS token into a pair"):
        cut(tmp_path, row("q", CONTEXT, "1871"), tokenizer)


@pytest.mark.parametrize("side", [case("K08", "padding_side"), case("K09", "truncation_side")])
@pytest.mark.parametrize("kind", ["wordpiece", "byte_level"])
def test_the_tokenizers_sides_do_not_change_windows(tmp_path: Path, kind: str, side: str) -> None:
    left = getattr(tiny, kind)()
    setattr(left, side, "left")
    question = row("q", LONG, "Olav Dahl")
    cut(tmp_path / "right", question, kind)
    cut(tmp_path / "left", question, left)
    name = "features/train.arrow"
    assert sha256(tmp_path / "left" / name) == sha256(tmp_path / "right" / name)
    part = windows(tmp_path / "left")
    assert len(part) > 1
    assert part.cls.tolist() == [0] * len(part)
    first = part.char_end[part.window_tokens()[:-1] + part.context_start]
    assert (np.diff(first) > 0).all()  # in the order of the text


def lstm(vocabulary_size: int) -> Any:
    """A random LSTM, seeded."""
    import torch

    from retune.tasks.qa.models import lstm as module

    torch.manual_seed(0)
    params = module.Params(embedding_size=8, hidden_size=8)
    return module.build(params, Path(), vocabulary_size, pad_token_id=0)


def test_k08_an_lstm_refuses_padding_on_the_left(tmp_path: Path) -> None:
    tiny.wordpiece().save_pretrained(tmp_path / "encoder")
    settings = tmp_path / "encoder" / "tokenizer_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_bytes()) | {"padding_side": "left"}))
    left = load_tokenizer(tmp_path / "encoder")
    run_download(tmp_path, [row("q", CONTEXT, "1871")], [OTHER, row("q2", LONG, "Vik")])
    run_tokenize(tmp_path, left)
    with pytest.raises(RetuneError, match="lstm: a window is padded on the left; set padding_side"):
        predict(tmp_path / "features", lstm(len(left)), tmp_path / "logits", PREDICT)
    assert not (tmp_path / "logits").exists()


def test_k10_a_model_with_too_few_embeddings_is_refused(tmp_path: Path) -> None:
    run_download(tmp_path, [row("q", CONTEXT, "1871")])
    run_tokenize(tmp_path)
    size = len(TOKENIZERS["wordpiece"])
    with pytest.raises(RetuneError, match=f"embeddings for {size - 1} tokens, but .* has {size}"):
        predict(tmp_path / "features", lstm(size - 1), tmp_path / "logits", PREDICT)
    assert not (tmp_path / "logits").exists()
    predict(tmp_path / "features", lstm(size), tmp_path / "logits", PREDICT)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        case("K11 features without example", [OTHER], "a window belongs to question 1 .*tokenize"),
        case("K11 example without features", [OTHER, row("q2", LONG, "Vik"), row("q3", "x y", "x")],
             "1 questions have no window: q3; run the tokenize stage"),
        case("K11 none at all", [], "a window belongs to question 0"),
    ],
)  # fmt: skip
def test_features_of_other_questions_are_refused(
    tmp_path: Path, rows: list[dict[str, Any]], message: str
) -> None:
    run_download(tmp_path, [row("q", CONTEXT, "1871")], [OTHER, row("q2", LONG, "Vik")])
    audit = run_tokenize(tmp_path)[1]
    assert audit["questions"] == len(set(windows(tmp_path, "test").example.tolist())) == 2
    write_logits(tmp_path)
    text = "".join(json.dumps(question) + "\n" for question in rows)
    (tmp_path / "raw" / "test.jsonl").write_text(text)
    with pytest.raises(RetuneError, match=message):
        run_postprocess(tmp_path)
    assert not (tmp_path / "predictions").exists()


def test_k13_an_edited_function_is_never_answered_by_a_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    cut(tmp_path, row("q", CONTEXT, "1871"), "wordpiece")
    path = tmp_path / "features" / "train.arrow"
    before = sha256(path)
    monkeypatch.setattr(
        "retune.tasks.qa.tokenize.tokenize.trim_offsets", lambda text, start, end: start * 0
    )
    run_tokenize(tmp_path)
    assert sha256(path) != before
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize(
    ("context", "question"),
    [
        case("K15 in the context", "one [SEP] two </s> three [CLS] four <s> [PAD] <pad>", "Who?"),
        case("K15 in the question", "three wise", "[SEP] </s> [CLS] Who <s>? [MASK] <mask>"),
    ],
)
def test_the_text_of_special_tokens_is_text(
    tmp_path: Path, kind: str, context: str, question: str
) -> None:
    answer = context[context.index("three") :]
    audit = cut(
        tmp_path, row("q", context, answer, question=question), kind, max_question_length=45,
        max_length=120,
    )  # fmt: skip
    part, tokenizer = windows(tmp_path), TOKENIZERS[kind]
    special = np.isin(part.input_ids, [tokenizer.cls_token_id, tokenizer.sep_token_id])
    inside = np.arange(part.tokens)
    assert not special[(part.context_start[0] <= inside) & (inside < part.context_end[0])].any()
    assert special.sum() == {"wordpiece": 3, "byte_level": 4}[kind]
    assert (audit["answer_in_no_window"], audit["label_widened"]) == (0, 0)
    assert [context[slice(*span)] for span in labels(tmp_path)[0]] == [answer]


def test_k16_a_model_without_token_types_reads_windows_that_have_them(tmp_path: Path) -> None:
    import torch
    from transformers import RobertaConfig, RobertaForQuestionAnswering

    tokenizer = TOKENIZERS["byte_level"]
    run_download(tmp_path, [row("q", CONTEXT, "1871")])
    run_tokenize(tmp_path, "byte_level")
    part = windows(tmp_path, "test")
    types = part.token_type_ids[part.context_start[0] : part.context_end[0]]
    assert set(types.tolist()) == {1}
    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=len(tokenizer), hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=8, max_position_embeddings=80, type_vocab_size=1, pad_token_id=1,
    )  # fmt: skip
    model = RobertaForQuestionAnswering(config)
    predict(tmp_path / "features", model, tmp_path / "logits", PREDICT)
    run_postprocess(tmp_path)
    assert answers(tmp_path)["other"]
