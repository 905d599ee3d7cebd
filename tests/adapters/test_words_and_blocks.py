"""Words to pieces, texts to blocks, and what is refused before a training."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from adapter_runs import run_entities, run_language, write_data
from hypothesis import given
from hypothesis import strategies as st

from retune.core.errors import RetuneError
from retune.models.losses import NO_LABEL
from retune.tasks.masked_lm.train.masked_blocks import EVALUATION, Masker, pack, read_texts
from retune.tasks.ner.texts.conll import Sentence
from retune.tasks.ner.texts.word_pieces import WordReader, rectangle

TOKENIZERS = {"pieces": tiny.wordpiece, "bytes": tiny.byte_level}
LABELS = {"O": 0, "B-PER": 1}


def sentence(*tokens: str) -> Sentence:
    tags = ["B-PER" if token[0].isupper() else "O" for token in tokens]
    return Sentence(Path("x.conll"), 7, list(tokens), tags)


def reader(kind: str = "pieces", max_length: int = 32) -> WordReader:
    return WordReader(TOKENIZERS[kind](), max_length, LABELS)


@pytest.mark.parametrize("kind", list(TOKENIZERS))
def test_the_label_of_a_word_stands_at_its_first_piece(kind: str) -> None:
    words = reader(kind)
    (part,) = words.read([sentence("Ada", "xyzzy", "saw")])
    ends = [*part.firsts[1:], len(part.input_ids) - 1]
    texts = [
        words.tokenizer.decode(part.input_ids[begin:end]).replace(" ", "").lower()
        for begin, end in zip(part.firsts, ends, strict=True)
    ]
    assert texts[::2] == ["ada", "saw"]
    assert part.labels == [1, 0, 0]
    batch = rectangle([part], 0, 32)
    assert batch["labels"][0, part.firsts].tolist() == part.labels
    assert int((batch["labels"] != NO_LABEL).sum()) == 3


def test_a_word_without_pieces_is_unknown_and_told_with_its_place() -> None:
    words = reader()
    (part,) = words.read([sentence("saw", "\u200b", "Ada")])
    assert part.labels == [0, 0, 1]
    assert part.input_ids[part.firsts[1]] == words.tokenizer.unk_token_id
    assert words.summary()["words_without_pieces"] == 1
    assert words.summary()["places_without_pieces"] == ["x.conll:8: '\\u200b'"]


def test_a_word_without_pieces_is_refused_where_nothing_stands_for_it() -> None:
    words = reader()
    words.tokenizer.unk_token = None
    with pytest.raises(RetuneError, match=r"x\.conll:8: the tokenizer keeps nothing of the word"):
        words.read([sentence("saw", "\u200b")])


def test_special_tokens_in_a_sentence_are_words() -> None:
    (part,) = reader().read([sentence("[SEP]", "[CLS]")])
    assert len(part.firsts) == 2
    assert not {2, 3} & set(part.input_ids[1:-1])


some_words = st.lists(st.text("abcdeö.\u200b", min_size=1, max_size=9), min_size=1, max_size=12)


@given(st.lists(some_words, min_size=1, max_size=4), st.integers(3, 20))
def test_no_word_is_lost_whatever_the_length(texts: list[list[str]], length: int) -> None:
    words = reader(max_length=length)
    sentences = [sentence(*tokens) for tokens in texts]
    parts = words.read(sentences)
    for number, tokens in enumerate(texts):
        assert sum(len(p.firsts) for p in parts if p.sentence == number) == len(tokens)
    assert all(len(part.input_ids) <= length for part in parts)
    assert [part.sentence for part in parts] == sorted(part.sentence for part in parts)
    assert words.cut_sentences == len([n for n in range(len(texts)) if
                                       sum(p.sentence == n for p in parts) > 1])  # fmt: skip


def test_a_length_without_room_is_refused() -> None:
    with pytest.raises(
        RetuneError, match=r"adapters\.entities\.max_length: 2 tokens leave no room"
    ):
        reader(max_length=2)


def test_texts_are_packed_one_after_the_other() -> None:
    tokenizer = tiny.wordpiece()
    texts = ["the river", "", "the old bridge of steel"]
    blocks = pack(texts, tokenizer, 6)
    rows = [tokenizer.convert_ids_to_tokens(row) for row in blocks.ids.tolist()]
    assert rows == [
        ["[CLS]", "the", "river", "[SEP]", "the", "[SEP]"],
        ["[CLS]", "old", "bridge", "of", "steel", "[SEP]"],
    ]
    rows_in_4 = pack(texts, tokenizer, 5)
    assert (len(rows_in_4.ids), rows_in_4.remainder) == (2, 2)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (2, "block_size: 2 tokens leave no room"),
        (64, "2 tokens of text do not fill a block of 64; lower"),
    ],
)
def test_blocks_that_cannot_be_are_refused(size: int, message: str) -> None:
    with pytest.raises(RetuneError, match=message):
        pack(["the river"], tiny.wordpiece(), size)


def test_masks_depend_on_seed_epoch_and_number_alone() -> None:
    tokenizer = tiny.wordpiece()
    ids = pack([" ".join(tiny.TEXTS)] * 20, tokenizer, 32).ids
    masker = Masker(tokenizer, 0.15, 3)
    inputs, labels = masker.mask(ids, 0, range(len(ids)))
    again = masker.mask(ids[4:5], 0, [4])
    assert torch.equal(again[0][0], inputs[4])
    assert torch.equal(again[1][0], labels[4])
    for other in (
        masker.mask(ids, 1, range(len(ids))),
        masker.mask(ids, EVALUATION, range(len(ids))),
        Masker(tokenizer, 0.15, 4).mask(ids, 0, range(len(ids))),
    ):
        assert not torch.equal(other[1], labels)
    asked = labels != NO_LABEL
    original = torch.from_numpy(ids)
    assert torch.equal(labels[asked], original[asked])
    assert torch.equal(inputs[~asked], original[~asked])
    special = np.isin(ids, tokenizer.all_special_ids)
    assert not asked.numpy()[special].any()
    rate = asked.float().sum() / (~special).sum()
    assert rate == pytest.approx(0.15, abs=0.02)
    masked = (inputs[asked] == tokenizer.mask_token_id).float().mean()
    assert masked == pytest.approx(0.8, abs=0.08)


def test_a_tokenizer_without_a_mask_is_refused() -> None:
    tokenizer = tiny.wordpiece()
    tokenizer.mask_token = None
    with pytest.raises(RetuneError, match="its tokenizer has no mask token"):
        Masker(tokenizer, 0.15, 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"t\.txt: no such file; adapters\.language\.files names it"),
        (b" \n\n", r"t\.txt: has no text; remove it"),
        (b"a\n\xff", r"t\.txt:2: not UTF-8"),
    ],
)
def test_bad_text_files_are_refused(content: bytes | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "t.txt").write_bytes(content)
    with pytest.raises(RetuneError, match=message):
        read_texts(tmp_path / "t.txt")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.mark.parametrize(
    ("run", "changes", "message"),
    [
        (run_entities, {"train": "../x"}, r"adapters\.entities: \.\./x is not in the folder"),
        (run_language, {"files": ["../x"]}, r"adapters\.language: \.\./x is not in the folder"),
        (run_entities, {"max_length": 500}, r"entities\.max_length: 500 tokens are more than the"),
        (run_language, {"block_size": 129}, r"language\.block_size: 129 tokens are more than the"),
        (run_language, {"masked": 1e-9}, "no token of the validation blocks is masked; raise it"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    run: Any, changes: dict[str, Any], message: str, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(RetuneError, match=message):
        run(data, tmp_path, **changes)


def test_a_loss_that_is_no_number_is_told_with_the_section_to_change(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nan = torch.tensor(float("nan"))
    monkeypatch.setattr("retune.tasks.ner.train.entities.part_loss", lambda *_: nan)
    with pytest.raises(
        RetuneError, match=r"the loss is nan at step 1 .* lower adapters\.entities\.lr"
    ):
        run_entities(data, tmp_path)
