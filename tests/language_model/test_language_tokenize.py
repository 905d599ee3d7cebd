"""Texts to blocks, whole texts and pairs, by a tokenizer of our own or a pretrained model's."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st
from language_runs import NO_CHECKPOINT, TOKENIZE, run_tokenize, write_raw
from pydantic import ValidationError
from stage_runs import run_module

from retune.core.errors import RetuneError
from retune.core.files import read_json, read_json_lines, sha256
from retune.models.pretrained_files import (
    DECODER_TOKENS,
    ENCODER_TOKENS,
    PretrainedParams,
    load_tokenizer,
)
from retune.tasks.language_model.texts.features import read_blocks, write_blocks
from retune.tasks.language_model.texts.texts import write_texts
from retune.tasks.language_model.tokenize.tokenize import Encoder, TokenizeParams
from retune.tasks.language_model.tokenize.vocabulary import END_OF_TEXT, SMALLEST, learn_tokenizer

FILES = ["pairs.jsonl", "train.arrow", "validation.arrow", "validation.jsonl"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_raw(tmp_path)
    return tmp_path


def counts(folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = read_json(folder / "blocks.json")["language_model"]["blocks"]
    return values


def stream(features: Path, split: str) -> str:
    """What the blocks of a split say."""
    tokenizer = load_tokenizer(features / "tokenizer", DECODER_TOKENS)
    ids = read_blocks(features / f"{split}.arrow", len(tokenizer))
    return str(tokenizer.decode(ids.flatten().tolist()))


def test_blocks_say_what_the_texts_say_and_the_remainder_is_counted(data: Path) -> None:
    told = run_tokenize(data)
    whole = "".join(text + END_OF_TEXT for text in tiny.TEXTS)
    said = stream(data / "features", "train")
    assert len(said) > 0.9 * len(whole)
    assert whole.startswith(said.rstrip("\ufffd"))
    train, validation = counts(data)["splits"]
    assert train["texts"] == 6
    tokens = train["block_tokens"] + train["tokens_left_over"]
    assert tokens == train["tokens"] + train["texts"]
    assert train["block_tokens"] == 16 * train["blocks"]
    assert (train["blocks_left_out"], validation["texts"]) == (0, 3)
    assert told.startswith(f"train {train['blocks']} blocks ({train['tokens_left_over']} tokens le")
    assert told.endswith("3 pairs; 300 tokens in the vocabulary")
    tokenizer = load_tokenizer(data / "features/tokenizer", DECODER_TOKENS)
    assert (tokenizer.eos_token, tokenizer.eos_token_id) == (END_OF_TEXT, 0)


def test_without_an_end_of_text_nothing_stands_between_texts(data: Path) -> None:
    run_tokenize(data, end_of_text=False)
    assert "".join(tiny.TEXTS).startswith(stream(data / "features", "train"))
    train, _ = counts(data)["splits"]
    assert train["tokens"] == train["block_tokens"] + train["tokens_left_over"]


def test_the_first_blocks_are_kept_and_the_others_counted(data: Path) -> None:
    run_tokenize(data)
    every = read_blocks(data / "features/train.arrow", 300)
    told = run_tokenize(data, train_blocks=2)
    kept = read_blocks(data / "features/train.arrow", 300)
    assert kept.tolist() == every[:2].tolist()
    train, validation = counts(data)["splits"]
    assert train["blocks_left_out"] == len(every) - 2
    assert validation["blocks_left_out"] == 0
    assert f"{len(every) - 2} blocks left out" in told


def test_whole_validation_texts_and_their_pairs_are_told(data: Path) -> None:
    run_tokenize(data)
    tokenizer = load_tokenizer(data / "features/tokenizer", DECODER_TOKENS)
    rows = list(read_json_lines(data / "features/validation.jsonl"))
    assert [row["id"] for row in rows] == [f"validation-{number}" for number in (1, 2, 3)]
    assert [tokenizer.decode(row["tokens"]) for row in rows] == tiny.TEXTS[3:]
    pairs = list(read_json_lines(data / "features/pairs.jsonl"))
    assert set(pairs[0]) == {
        "id", "prompt", "continuation", "prompt_tokens", "continuation_tokens",
    }  # fmt: skip
    for pair, text in zip(pairs, tiny.TEXTS[3:], strict=True):
        assert text == f"{pair['prompt']} {pair['continuation']}"
        assert tokenizer.decode(pair["prompt_tokens"]) == pair["prompt"]
        assert tokenizer.decode(pair["continuation_tokens"]) == f" {pair['continuation']}"
    (told,) = counts(data)["pairs"]
    both = [len(p["prompt_tokens"]) + len(p["continuation_tokens"]) for p in pairs]
    assert told == {
        "pairs": 3, "skipped": [], "longest": max(both),
        "prompt_tokens": sum(len(p["prompt_tokens"]) for p in pairs),
        "continuation_tokens": sum(len(p["continuation_tokens"]) for p in pairs),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("cut", "pairs", "skipped"),
    [
        ("sentences", [("Mr. Bell sat.", "It was late."), ("Who? ", "Me!")], ["validation-3"]),
        ("full_stops", [("Mr.", "Bell sat.")], ["validation-2", "validation-3"]),
    ],
)
def test_texts_without_a_second_sentence_are_skipped_and_listed(
    cut: str, pairs: list[tuple[str, str]], skipped: list[str], tmp_path: Path
) -> None:
    texts = ["Mr. Bell sat. It was late.", "Who? Me! No", "It rained all the day long"]
    write_raw(tmp_path, validation=texts)
    told = run_tokenize(tmp_path, pairs=cut, block_size=8)
    rows = read_json_lines(tmp_path / "features/pairs.jsonl")
    found = [(row["prompt"].strip(), row["continuation"]) for row in rows]
    assert found == [(first.strip(), second) for first, second in pairs]
    assert counts(tmp_path)["pairs"][0]["skipped"] == skipped
    assert f"{len(skipped)} texts skipped" in told


@given(st.text("ab T.'\"!é\u4e00", min_size=1), st.text("ab T.'\"!é\u4e00", min_size=1))
def test_tokens_of_a_pair_are_those_of_the_text(first: str, second: str) -> None:
    first, second = first.strip() or "a", second.strip() or "b"
    encoder = Encoder(TOKENIZER)
    prompt, continuation, both = encoder.encoded([first, f" {second}", f"{first} {second}"])
    assert prompt + continuation == both


TOKENIZER = learn_tokenizer(tiny.TEXTS, 400, 1)


@given(st.text())
def test_a_learned_tokenizer_loses_nothing_of_any_text(text: str) -> None:
    text = text.encode("utf-8", "ignore").decode()
    (ids,) = Encoder(TOKENIZER).encoded([text])
    assert TOKENIZER.backend_tokenizer.decode(ids, skip_special_tokens=False) == text
    assert 0 not in ids


def test_the_end_of_text_in_a_text_is_text() -> None:
    (ids,) = Encoder(TOKENIZER).encoded([END_OF_TEXT])
    assert 0 not in ids


def test_a_vocabulary_is_never_larger_than_its_texts_allow() -> None:
    assert len(learn_tokenizer(["ab ab"], 1000, 1)) == SMALLEST + 2  # "ab", " ab"
    assert len(learn_tokenizer(["ab ab"], 1000, 2)) == SMALLEST + 1
    assert len(learn_tokenizer(["ab ab"], SMALLEST, 1)) == SMALLEST


def test_the_same_texts_give_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    """Hash seeds and threads are others in each."""
    write_raw(tmp_path)
    values = TOKENIZE | {"vocabulary_size": 500, "min_frequency": 1}
    section = {"checkpoint": {"name": "./none", "revision": "0" * 64}, "tokenize": values}
    (tmp_path / "p.yaml").write_text(json.dumps({"language_model": section}))
    around = {"a": {"RAYON_NUM_THREADS": "1"}}
    around["b"] = {"RAYON_NUM_THREADS": "4", "PYTHONHASHSEED": "4"}
    for attempt, variables in around.items():
        outputs = [f"{tmp_path}/{attempt}/{name}" for name in ("features", "blocks.json")]
        done = run_module(
            "stages.language_model.tokenize", "--params", f"{tmp_path}/p.yaml", f"{tmp_path}/raw",
            *outputs, **variables,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    names = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*.*"))
    assert {*FILES, "manifest.json", "tokenizer.json"} <= {path.name for path in names}
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    vocabularies = [learn_tokenizer(order, 500, 1).get_vocab()
                    for order in (tiny.TEXTS, tiny.TEXTS[::-1])]  # fmt: skip
    assert vocabularies[0] == vocabularies[1]


def checkpoint_of(folder: Path, tokenizer: Any) -> PretrainedParams:
    """A folder with a tokenizer; of the weights nothing is asked but their sum."""
    folder.mkdir()
    tokenizer.save_pretrained(folder)
    (folder / "config.json").write_text('{"model_type": "gpt2"}')
    (folder / "model.safetensors").write_bytes(b"weights")
    return PretrainedParams(str(folder), sha256(folder / "model.safetensors"))


def test_a_checkpoints_tokenizer_cuts_as_it_does(data: Path) -> None:
    checkpoint = checkpoint_of(data / "gpt2", TOKENIZER)
    run_tokenize(data, checkpoint=checkpoint, tokenizer="checkpoint")
    assert counts(data)["vocabulary"] == [{"size": len(TOKENIZER), "tokenizer": "checkpoint"}]
    row = next(read_json_lines(data / "features/validation.jsonl"))
    assert row["tokens"] == TOKENIZER.encode(tiny.TEXTS[3])


def test_a_tokenizer_that_ends_no_text_is_refused(data: Path) -> None:
    checkpoint = checkpoint_of(data / "bert", tiny.wordpiece())
    with pytest.raises(RetuneError, match=r"has no eos_token; choose a pretrained decoder, s"):
        run_tokenize(data, checkpoint=checkpoint, tokenizer="checkpoint")
    gpt2 = checkpoint_of(data / "gpt2", TOKENIZER)
    with pytest.raises(
        RetuneError, match="has no cls_token, sep_token, pad_token; choose a pretrained enco"
    ):
        load_tokenizer(Path(gpt2.name), ENCODER_TOKENS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"block_size": 10_000}, r"train: language_model\.tokenize\.block_size: \d+ tokens"),
        ({"block_size": 150}, r"validation: language_model\.tokenize\.block_size: \d+ tokens"),
        ({"vocabulary_size": 256}, r"vocabulary_size: 256 is less than 257, one for each byte"),
        ({"pairs": "full_stops"}, r"tokenize\.pairs: none of the 1 validation texts has two s"),
        ({"tokenizer": "checkpoint"}, r"^language_model\.checkpoint\.name: no such folder: none"),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit_the_texts_are_refused(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    write_raw(tmp_path, validation=["Who was it that came so late? Me! It was me, and no other"])
    with pytest.raises(RetuneError, match=message):
        run_tokenize(tmp_path, checkpoint=NO_CHECKPOINT, **changes)
    assert not (tmp_path / "features").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [("block_size", 1), ("pairs", "lines"), ("tokenizer", "bert"), ("train_blocks", 0)],
)
def test_bad_settings_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=name):
        TokenizeParams(**TOKENIZE | {name: value})


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_split_without_texts_is_refused(split: str, data: Path) -> None:
    write_texts(data / "raw" / f"{split}.jsonl", [])
    with pytest.raises(RetuneError, match=rf"{split}\.jsonl: no texts; the stage that wrote it le"):
        run_tokenize(data)


def test_blocks_are_read_as_they_were_written(tmp_path: Path) -> None:
    blocks = np.arange(12, dtype=np.int64).reshape(3, 4)
    write_blocks(tmp_path / "a.arrow", blocks)
    found = read_blocks(tmp_path / "a.arrow", 12)
    assert (found.tolist(), found.dtype) == (blocks.tolist(), np.int64)


def write_arrow(path: Path, **columns: Any) -> None:
    table = pa.table(columns)
    with pa.ipc.new_stream(str(path), table.schema) as stream:
        stream.write_table(table)


def test_files_that_are_not_blocks_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.arrow"
    with pytest.raises(RetuneError, match=r"a\.arrow: no such file; run the tokenize stage first"):
        read_blocks(path, 9)
    path.write_bytes(b"x")
    with pytest.raises(RetuneError, match=r"a\.arrow: damaged \(.*\); run the tokenize stage"):
        read_blocks(path, 9)
    write_arrow(path, label=[1])
    with pytest.raises(
        RetuneError, match="its columns are label, not blocks of input_ids; run the tokenize stage"
    ):
        read_blocks(path, 9)
    write_arrow(path, input_ids=[[1, 2]])
    with pytest.raises(RetuneError, match="its columns are input_ids, not blocks of input_ids"):
        read_blocks(path, 9)
    write_blocks(path, np.zeros((0, 4), np.int64))
    with pytest.raises(RetuneError, match=r"a\.arrow: has no rows; run the tokenize stage"):
        read_blocks(path, 9)
    for wrong in (9, -1):
        write_blocks(path, np.array([[0, wrong]]))
        with pytest.raises(RetuneError, match=f"token {wrong} is none of the 9 of the vocabulary"):
            read_blocks(path, 9)
