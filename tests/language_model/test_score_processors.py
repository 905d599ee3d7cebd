"""Processors are held to their definitions, token by token and row by row."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from transformers import NoRepeatNGramLogitsProcessor, RepetitionPenaltyLogitsProcessor

from retune.core.errors import RetuneError
from retune.core.params import Params
from retune.tasks.language_model.generate.processors import (
    FORBIDDEN,
    History,
    MinLength,
    NGramBlock,
    Processor,
    ProcessorParams,
    RepetitionPenalty,
    WordBlock,
)
from retune.tasks.language_model.texts.prompts import Padded

VOCABULARY = 6

rows = st.lists(st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=12), min_size=1)
some_scores = st.integers(0, 1000)


def applied(processor: Processor, sequences: Sequence[Sequence[int]], scores: Tensor) -> Tensor:
    padded = Padded.left(sequences, torch.device("cpu"))
    changed = scores.clone()
    processor(changed, History(padded.tokens, padded.real, 0, torch.tensor([1, 3])))
    return changed


def drawn(seed: int, count: int) -> Tensor:
    return torch.randn(count, VOCABULARY, generator=torch.Generator().manual_seed(seed))


def forbidden(scores: Tensor) -> list[set[int]]:
    return [{token for token in range(VOCABULARY) if row[token] == FORBIDDEN} for row in scores]


@given(rows, st.none() | st.integers(1, 14), some_scores)
def test_words_are_blocked_that_are_in_the_window(
    sequences: list[list[int]], window: int | None, seed: int
) -> None:
    scores = drawn(seed, len(sequences))
    changed = applied(WordBlock(window), sequences, scores)
    expected = [set(row if window is None else row[-window:]) for row in sequences]
    assert forbidden(changed) == expected
    kept = changed != FORBIDDEN
    assert torch.equal(changed[kept], scores[kept])


@given(rows, st.integers(1, 5), some_scores)
def test_ngrams_are_blocked_that_are_there(sequences: list[list[int]], n: int, seed: int) -> None:
    scores = drawn(seed, len(sequences))
    changed = applied(NGramBlock(n), sequences, scores)
    for row, found in zip(sequences, forbidden(changed), strict=True):
        there = {tuple(row[first : first + n]) for first in range(len(row) - n + 1)}
        begun = row[len(row) - n + 1 :]
        assert found == {token for token in range(VOCABULARY) if (*begun, token) in there}


@given(rows, st.sampled_from([0.5, 1.0, 1.7]), some_scores)
def test_a_penalty_meets_each_token_once(
    sequences: list[list[int]], penalty: float, seed: int
) -> None:
    scores = drawn(seed, len(sequences))
    changed = applied(RepetitionPenalty(penalty), sequences, scores)
    for row, before, after in zip(sequences, scores.tolist(), changed.tolist(), strict=True):
        expected = [
            value if token not in row else value * penalty if value < 0 else value / penalty
            for token, value in enumerate(before)
        ]
        assert after == pytest.approx(expected)


@given(st.integers(1, 12), st.integers(1, 4), some_scores)
def test_processors_are_those_of_transformers(length: int, n: int, seed: int) -> None:
    """On rows without padding, which transformers' processors know nothing of."""
    ids = torch.randint(VOCABULARY, (3, length), generator=torch.Generator().manual_seed(seed))
    scores = drawn(seed, 3)
    for ours, theirs in (
        (RepetitionPenalty(1.7), RepetitionPenaltyLogitsProcessor(1.7)),
        (NGramBlock(n), NoRepeatNGramLogitsProcessor(n)),
    ):
        expected: Tensor = theirs(ids, scores.clone())
        assert torch.equal(applied(ours, ids.tolist(), scores), expected)


@pytest.mark.parametrize(("generated", "expected"), [(0, {1, 3}), (2, {1, 3}), (3, set())])
def test_ends_wait_for_the_least_length(generated: int, expected: set[int]) -> None:
    scores = drawn(0, 2)
    one = torch.ones(2, 1, dtype=torch.long)
    MinLength(3)(scores, History(one, one.bool(), generated, torch.tensor([1, 3])))
    assert forbidden(scores) == [expected] * 2


def read(folder: Path, text: str) -> ProcessorParams:
    (folder / "params.yaml").write_text(f"lm:\n  processors: {{{text}}}\n", encoding="utf-8")
    with Params(folder / "params.yaml") as params:
        return params.section("lm.processors", ProcessorParams)


GOOD = "repetition_penalty: {penalty: 1.2}, ngram_block: {n: 3}, word_block: {window: null}"


def test_processors_are_chosen_by_params(tmp_path: Path) -> None:
    params = read(tmp_path, f"{GOOD}, min_length: null")
    assert params.chosen() == [RepetitionPenalty(1.2), NGramBlock(3), WordBlock(None)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD, r"lm\.processors\.min_length: missing"),
        (
            f"{GOOD}, min_length: null, beam_block: {{n: 3}}",
            r"beam_block: unknown key.*\(allowed: repetition_penalty, ngram_block, word_block, min",
        ),
        (
            f"{GOOD}, min_length: null".replace("n: 3", "n: 0"),
            r"lm\.processors\.ngram_block\.n: input should be greater than or equal to 1; got 0",
        ),
        (
            f"{GOOD}, min_length: null".replace("null}", "0}"),
            r"word_block\.window: input should be greater than or equal to 1; got 0",
        ),
        (
            f"{GOOD}, min_length: null".replace("1.2", "0.0"),
            r"penalty: input should be greater than 0; got 0\.0",
        ),
    ],
)
def test_processors_that_cannot_be_are_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(RetuneError, match=message):
        read(tmp_path, text)
