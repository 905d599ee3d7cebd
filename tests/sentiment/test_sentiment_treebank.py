"""Tokens of the Penn Treebank become plain text, and nothing but white space is lost."""

from collections.abc import Callable
from pathlib import Path

import corpus_files
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retune.tasks.sentiment.download.treebank import plain_text


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        ("It is n't bad , is it ?", "It isn't bad, is it?"),
        ("I 'd say they 've won ; we 'll see .", "I'd say they've won; we'll see."),
        ("one of the year 's best", "one of the year's best"),
        ("the actors ' faces", "the actors' faces"),
        ("`` Ships '' sails well", '"Ships" sails well'),
        ("it is `` slow . ''", 'it is "slow."'),
        ("a ` bold ' film", "a 'bold' film"),
        ("-LRB- a -RRB- long -lsb- one -rsb- .", "(a) long [one]."),
        ("a writer\\/director , \\*\\*\\*", "a writer/director, ***"),
        ("half of it ... and 50 % of $ 5", "half of it... and 50% of $5"),
        ("... and more !?", "... and more!?"),
        ("rock 'n' roll of the '60s -- good - bad", "rock 'n' roll of the '60s -- good - bad"),
        ("HE 'S NOT ONE OF US , IS N'T HE", "HE'S NOT ONE OF US, ISN'T HE"),
        (" . ", "."),
    ],
)
def test_tokens_are_joined_as_people_write(tokens: str, text: str) -> None:
    assert plain_text(tokens) == text


MEANT = {"``": '"', "''": '"', "`": "'", "-lrb-": "(", "-RRB-": ")", "\\/": "/", "\\*": "*"}
OTHERS = [".", ",", "?", "...", "--", "-", "'", "'s", "n't", "(", ")", "%", "$", "#", "a", '"']


@given(st.lists(st.sampled_from([*MEANT, *OTHERS]), min_size=1, max_size=12))
def test_only_white_space_is_lost(tokens: list[str]) -> None:
    text = plain_text(" ".join(tokens))
    assert "".join(text.split()) == "".join(MEANT.get(token, token) for token in tokens)
    assert text == text.strip()


def test_the_bundled_sentences_are_plain_already() -> None:
    for split in ("train", "validation"):
        rows = corpus_files.table(f"opinions/{split}.tsv", ["label", "sentence", "domain"])
        assert [plain_text(row[1]) for row in rows] == [row[1] for row in rows]


def test_no_token_is_left_in_real_ones(shared_data: Callable[[str], Path]) -> None:
    lines = (shared_data("sst2") / "dev.tsv").read_text(encoding="utf-8").splitlines()
    texts = [plain_text(line.split("\t")[1]) for line in lines]
    assert not [t for t in texts if "`" in t or "''" in t or " n't" in t or "rb-" in t]
    assert not [t for t in texts if " ." in t or " ," in t]
