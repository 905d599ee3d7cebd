"""Stories from files, blocks of their tokens, and their first two sentences."""

import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retune.errors import RetuneError
from retune.language_model.sentences import Pair, sentence_pairs, sentences
from retune.language_model.stories import Story, pack_tokens, read_stories

BUNDLED = Path(str(files("retune.corpora") / "stories"))


def test_bundled_stories_are_read_whole() -> None:
    for name, count in (("train", 106), ("validation", 24)):
        path = BUNDLED / f"{name}.jsonl"
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        found = read_stories(path, "story")
        assert len(found) == count
        assert [story.text for story in found] == [row["story"] for row in rows]
        assert found[1].place == f"{path}:2"


def test_every_bundled_story_has_two_sentences() -> None:
    stories = [s for name in ("train", "validation")
               for s in read_stories(BUNDLED / f"{name}.jsonl", "story")]  # fmt: skip
    found = sentence_pairs(stories, "sentences")
    assert (len(found.pairs), found.skipped) == (130, [])
    for pair, story in zip(found.pairs, stories, strict=True):
        assert story.text.startswith(f"{pair.first} {pair.second}")


def test_fairy_tales_are_read(shared_data: Callable[[str], Path]) -> None:
    stories = read_stories(shared_data("fairytales") / "train.jsonl", "story")
    assert len(stories) == 232
    found = sentence_pairs(stories, "sentences")
    assert len(found.pairs) + len(found.skipped) == 232
    assert len(found.skipped) < 5


def test_a_text_file_is_one_story(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfOne. Two.\n\nThree.\n")
    assert read_stories(tmp_path / "a.txt", "story") == [
        Story(str(tmp_path / "a.txt"), "One. Two.\n\nThree.\n")
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", None, r"a\.txt: no such file; give a file of stories"),
        ("a.csv", "x", r"a\.csv: \.csv is not \.txt or \.jsonl; rename it"),
        ("a", "x", "a: no suffix is not"),
        ("a.txt", " \n", r"a\.txt: no text in it; take it out"),
        (
            "a.jsonl",
            '{"story": "A."}\n{"text": "B."}',
            r"a\.jsonl:2: no field 'story'; there are t",
        ),
        ("a.jsonl", '{"story": "A."}\n{}', r"a\.jsonl:2: no field 'story'; there are none"),
        ("a.jsonl", '["A."]', r"a\.jsonl:1: expected an object, as \{\"story\": \"\.\.\.\"\}, got"),
        ("a.jsonl", '{"story": 3}\n{"story": " "}', r"a\.jsonl:1: story: expected a text .* got 3"),
        ("a.jsonl", '{"story": 3}\n{"story": " "}', r"\n.*a\.jsonl:2: story: .*, got ' '"),
        ("a.jsonl", '{"story": "A."}\n{"story', r"a\.jsonl:2:"),
        ("a.jsonl", '{"story": 3}\n' * 25, r"a\.jsonl:20: .* got 3\nand 5 more of the like$"),
    ],
)
def test_files_that_cannot_be_read_are_refused(
    name: str, content: str | None, message: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(RetuneError, match=message):
        read_stories(tmp_path / name, "story")


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
    with pytest.raises(RetuneError, match="block_size: 1 leaves no token to be told"):
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
