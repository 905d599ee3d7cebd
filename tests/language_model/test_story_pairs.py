"""Blocks of the tokens of stories, and their first two sentences."""

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retune.core.errors import RetuneError
from retune.tasks.language_model.download.record_files import Record, read_records
from retune.tasks.language_model.tokenize.sentences import Pair, sentence_pairs, sentences
from retune.tasks.language_model.tokenize.stories import Story, pack_tokens

BUNDLED = Path(str(files("retune.corpora") / "stories"))


def stories_of(path: Path) -> list[Story]:
    records = read_records(path, path.name, "story")
    assert all(isinstance(record, Record) for record in records)
    return [Story(record.where, record.text) for record in records if isinstance(record, Record)]


def test_every_bundled_story_has_two_sentences() -> None:
    train, validation = (stories_of(BUNDLED / f"{name}.jsonl") for name in ("train", "validation"))
    stories = train + validation
    found = sentence_pairs(stories, "sentences")
    assert (len(found.pairs), found.skipped) == (130, [])
    for pair, story in zip(found.pairs, stories, strict=True):
        assert story.text.startswith(f"{pair.first} {pair.second}")


def test_fairy_tales_are_read(shared_data: Callable[[str], Path]) -> None:
    stories = stories_of(shared_data("fairytales") / "train.jsonl")
    assert len(stories) == 232
    found = sentence_pairs(stories, "sentences")
    assert len(found.pairs) + len(found.skipped) == 232
    assert len(found.skipped) < 5


@given(
    st.lists(st.lists(st.integers(0, 9), max_size=9), max_size=9),
    st.integers(2, 7),
    st.none() | st.just(99),
)
def test_no_token_is_lost_in_blocks(texts: list[list[int]], size: int, end: int | None) -> None:
    stream = [token for text in texts for token in [*text, *([] if end is None else [end])]]
    if len(stream) < size:
        with pytest.raises(RetuneError, match=f"{len(stream)} tokens of text make no block of"):
            pack_tokens(texts, size, end)
        return
    blocks = pack_tokens(texts, size, end)
    assert blocks.ids.shape[1] == size
    assert blocks.remainder < size
    assert [*blocks.ids.flatten().tolist(), *stream[len(stream) - blocks.remainder :]] == stream


def test_blocks_of_one_token_are_refused() -> None:
    with pytest.raises(RetuneError, match="block_size: 1 leaves no token to predict"):
        pack_tokens([[1, 2]], 1, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two", ["One.", "Two"]),
        ("Mr. Bell sat by J. R. Roe. It was late.", ["Mr. Bell sat by J. R. Roe.", "It was late."]),
        ("So did I. Then we ran.", ["So did I.", "Then we ran."]),
        ('"Who?" asked he. "Me!" She ran.', ['"Who?" asked he.', '"Me!"', "She ran."]),
        ("It cost 3.50 in all. 12 came.", ["It cost 3.50 in all.", "12 came."]),
        ("Well... perhaps. Well... No!", ["Well... perhaps.", "Well...", "No!"]),
        ("He said (so it is told.) Then\nhe left.", ["He said (so it is told.)", "Then he left."]),
        ("A Title\n\nÉlan came. Órla, too.", ["A Title", "Élan came.", "Órla, too."]),
        ("\u201cGo.\u201d \u2018Now?\u2019 Yes.", ["\u201cGo.\u201d", "\u2018Now?\u2019", "Yes."]),
        ("See fig. 3, e.g. Roe's. Done.", ["See fig. 3, e.g. Roe's.", "Done."]),
        (" \n\n ", []),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@given(st.text("AbI. !?\"'\n…”(", max_size=40))
def test_sentences_hold_all_of_the_text(text: str) -> None:
    found = sentences(text)
    assert " ".join(found) == " ".join(text.split())
    assert all(found)


def test_the_notebooks_cut_is_at_full_stops() -> None:
    stories = [
        Story("x:1", "Mr. Bell sat. It was late. End"),
        Story("x:2", "Who? Me! No second one."),
        Story("x:3", "One. Two"),
        Story("x:4", "One. "),
    ]
    found = sentence_pairs(stories, "full_stops")
    assert found.pairs == [Pair("Mr.", "Bell sat."), Pair("One.", "Two")]
    assert found.skipped == ["x:2", "x:4"]
    assert sentence_pairs(stories, "sentences").skipped == ["x:4"]
