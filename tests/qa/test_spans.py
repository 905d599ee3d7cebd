import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retune.tasks.qa.postprocess.spans import Candidates, Floats, chunks, find_spans, probabilities
from retune.tasks.qa.windows.windows import Windows

GOLDENS = Path(__file__).parents[1] / "reference" / "pipeline_goldens.json"


def make_windows(rows):
    """Windows from (question, context start, context end, cls, [(char start, char end)])."""
    questions, starts, ends, cls, tokens = zip(*rows, strict=True)
    chars = np.array([pair for window in tokens for pair in window], np.int32)
    return Windows(
        example=np.array(questions, np.int64),
        lengths=np.array([len(window) for window in tokens], np.int32),
        context_start=np.array(starts, np.int32),
        context_end=np.array(ends, np.int32),
        cls=np.array(cls, np.int32),
        char_start=chars[:, 0],
        char_end=chars[:, 1],
    )


def rows_of(candidates: Candidates) -> dict[int, list[tuple[float, int, int]]]:
    spans = list(zip(-candidates.score, candidates.start, candidates.end, strict=True))
    return {
        int(question): spans[candidates.offsets[i] : candidates.offsets[i + 1]]
        for i, question in enumerate(candidates.questions)
    }


def naive_spans(
    windows: Windows, logits: Floats, n_best: int, max_answer_length: int
) -> dict[int, list[tuple[float, int, int]]]:
    """The definition, in nested loops: (-score, start, end) of each question's n-best."""
    found: dict[int, list[tuple[float, int, int]]] = {}
    for question in sorted(set(windows.example.tolist())):
        best = naive_question(windows, logits, question, n_best, max_answer_length)
        if not best:
            best = naive_question(windows, logits, question, 10**6, max_answer_length)
        ordered = sorted((-score, start, end) for (start, end), score in best.items())
        found[question] = ordered[:n_best]
    return found


def naive_question(windows, logits, question, n_best, max_answer_length):
    best: dict[tuple[int, int], float] = {}
    first = 0
    for window, length in enumerate(windows.lengths):
        context = range(first + windows.context_start[window], first + windows.context_end[window])
        first += length
        if windows.example[window] != question:
            continue
        starts = sorted(context, key=lambda token: (-logits[token, 0], token))[:n_best]
        ends = sorted(context, key=lambda token: (-logits[token, 1], token))[:n_best]
        for start in starts:
            for end in ends:
                span = int(windows.char_start[start]), int(windows.char_end[end])
                if 0 <= end - start < max_answer_length and span[0] < span[1]:
                    score = float(logits[start, 0]) + float(logits[end, 1])
                    best[span] = max(best.get(span, -np.inf), score)
    return best


@st.composite
def problems(draw):
    """Few different logits, so that ties abound, and tokens that share characters."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = []
    for question in range(draw(st.integers(1, 3))):
        for _ in range(draw(st.integers(1, 3))):
            length = int(rng.integers(1, 14))
            start = int(rng.integers(0, length + 1))
            end = int(rng.integers(start, length + 1))
            offsets = np.sort(rng.integers(0, 10, length))
            widths = rng.integers(0, 3, length)
            tokens = [(int(a), int(a + b)) for a, b in zip(offsets, widths, strict=True)]
            rows.append((question * 5, start, end, int(rng.integers(length)), tokens))
    windows = make_windows(rows)
    levels = draw(st.sampled_from([2, 5, 1000]))
    logits = rng.integers(-levels, levels, (windows.tokens, 2)).astype(np.float32) / 4
    return windows, logits


@settings(max_examples=300, deadline=None)
@given(problems(), st.integers(1, 8), st.integers(1, 6))
def test_equals_the_nested_loops(problem, n_best, max_answer_length):
    windows, logits = problem
    found = find_spans(windows, logits, n_best, max_answer_length)
    assert rows_of(found) == naive_spans(windows, logits, n_best, max_answer_length)


@settings(max_examples=100, deadline=None)
@given(problems(), st.integers(1, 8))
def test_equals_the_nested_loops_up_to_the_limits_of_float32(problem, n_best):
    windows, logits = problem
    extremes = np.array([-3.4e38, -1.8e38, -1.0, 0.0, 1.7e38, 3.4e38], np.float32)
    logits = extremes[(logits * 4).astype(int) % len(extremes)]
    longest = 2**33  # more than any integer of the search holds
    assert rows_of(find_spans(windows, logits, n_best, longest)) == naive_spans(
        windows, logits, n_best, longest
    )


@settings(max_examples=100, deadline=None)
@given(problems(), st.integers(1, 4))
def test_chunks_change_nothing(problem, size):
    windows, logits = problem
    parts = list(chunks(windows, logits, size))
    assert sum(len(part) for part, _ in parts) == len(windows)
    found = {}
    for part, values in parts:
        found |= rows_of(find_spans(part, values, 3, 4))
    assert found == rows_of(find_spans(windows, logits, 3, 4))


@settings(max_examples=100, deadline=None)
@given(problems())
def test_null_score_is_the_lowest_of_the_windows(problem):
    windows, logits = problem
    found = find_spans(windows, logits, 3, 4)
    first = np.cumsum(windows.lengths) - windows.lengths
    scores = logits[first + windows.cls].astype(np.float64).sum(axis=1)
    expected = [scores[windows.example == question].min() for question in found.questions]
    assert found.null_score.tolist() == expected


@settings(max_examples=100, deadline=None)
@given(problems(), st.booleans())
def test_probabilities_are_the_softmax_of_the_kept_scores(problem, with_null):
    found = find_spans(*problem, 3, 4)
    shares, null_shares = probabilities(found, with_null=with_null)
    for i, null in enumerate(found.null_score):
        rows = slice(found.offsets[i], found.offsets[i + 1])
        scores = np.append(found.score[rows], [null] * with_null)
        expected = np.exp(scores) / np.exp(scores).sum()
        given = np.append(shares[rows], [null_shares[i]] * with_null)
        np.testing.assert_allclose(given, expected, rtol=1e-12, atol=1e-300)
    assert with_null or not null_shares.any()


def test_probabilities_of_huge_scores_stay_numbers():
    windows = make_windows([(0, 1, 3, 0, [(0, 0), (0, 1), (2, 3)])])
    logits = np.full((3, 2), 3e38, np.float32)
    shares, null_shares = probabilities(find_spans(windows, logits, 3, 5), with_null=True)
    np.testing.assert_allclose(shares, [0.25] * 3)
    np.testing.assert_allclose(null_shares, [0.25])


def test_the_best_start_behind_the_best_end_still_gives_a_span():
    windows = make_windows([(0, 1, 4, 0, [(0, 0), (0, 1), (2, 3), (4, 5)])])
    logits = np.array([[0, 0], [1, 9], [2, 1], [9, 2]], np.float32)
    found = find_spans(windows, logits, 1, 2)
    assert rows_of(found) == {0: [(-11.0, 4, 5)]}
    logits[3, 1] = -5  # now the first token alone is best, though its start is not
    assert rows_of(find_spans(windows, logits, 1, 2)) == {0: [(-10.0, 0, 1)]}


def test_logits_outside_the_context_never_win():
    windows = make_windows([(0, 2, 4, 0, [(0, 0), (0, 3), (0, 4), (5, 9), (0, 0)])])
    logits = np.array([[50, 50], [50, 50], [0, 0], [1, 1], [50, 50]], np.float32)
    assert rows_of(find_spans(windows, logits, 1, 30)) == {0: [(-2.0, 5, 9)]}


def test_tokens_of_one_character_are_one_candidate():
    emoji = [(0, 1)] * 4  # four bytes of one character
    windows = make_windows([(0, 1, 6, 0, [(0, 0), *emoji, (1, 2)])])
    logits = np.array([[0, 0], [4, 0], [3, 1], [2, 2], [1, 3], [0, 0]], np.float32)
    found = rows_of(find_spans(windows, logits, 3, 6))
    assert found == {0: [(-7.0, 0, 1)]}


def test_repeated_characters_do_not_crowd_out_other_spans_in_the_full_search():
    tokens = [(0, 1), (0, 1), (0, 1), (1, 2), (2, 3), (3, 4)]
    windows = make_windows([(0, 0, 6, 0, tokens)])
    logits = np.array([[1, 9], [1, 9], [0, 0], [0, 0], [8, 0], [8, 0]], np.float32)
    assert rows_of(find_spans(windows, logits, 2, 6)) == {0: [(-10.0, 0, 1), (-8.0, 2, 3)]}


def test_a_question_without_context_tokens_has_no_span():
    windows = make_windows([(3, 1, 1, 0, [(0, 0), (0, 0)])])
    found = find_spans(windows, np.ones((2, 2), np.float32), 20, 30)
    assert found.offsets.tolist() == [0, 0]
    assert found.null_score.tolist() == [2.0]
    assert probabilities(found, with_null=True)[1].tolist() == [1.0]


def test_memory_maps_give_the_same(tmp_path):
    windows, logits = random_problem()
    np.save(tmp_path / "logits.npy", logits)
    mapped = np.load(tmp_path / "logits.npy", mmap_mode="r")
    assert digest(windows, mapped) == digest(windows, logits)


def test_spans_do_not_depend_on_the_processor():
    script = "from tests.qa.test_spans import *; print(digest(*random_problem()))"
    environment = os.environ | {"NPY_DISABLE_CPU_FEATURES": "X86_V4 X86_V3"}
    command = [sys.executable, "-W", "ignore", "-c", script]
    folder = Path(__file__).parents[2]
    plain = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, check=True
    )
    assert plain.stdout.strip() == digest(*random_problem())


def random_problem():
    rng = np.random.default_rng(0)
    tokens = [(i * 3, i * 3 + 2) for i in range(300)]
    windows = make_windows([(i // 2, 5, 299, 0, tokens) for i in range(100)])
    return windows, rng.integers(-20, 20, (windows.tokens, 2)).astype(np.float32)


def digest(windows, logits):
    rows = [rows_of(find_spans(*part, 20, 30)) for part in chunks(windows, logits, 30)]
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def golden_windows():
    for question in json.loads(GOLDENS.read_text(encoding="utf-8"))["questions"]:
        for number, window in enumerate(question["windows"]):
            yield pytest.param(question["context"], window, id=f"{question['id']}-{number}")


@pytest.mark.parametrize("key", ["answers", "answers_with_null"])
@pytest.mark.parametrize(("context", "window"), list(golden_windows()))
def test_equals_the_question_answering_pipeline(context, window, key):
    """Window by window.

    Over several windows the two rank differently by design: the pipeline normalises the
    probabilities of each window on its own, so that a window without any good answer lifts
    its best one to the same height as the right answer elsewhere, and adds up equal texts.
    """
    goldens = json.loads(GOLDENS.read_text(encoding="utf-8"))
    inside = np.flatnonzero(window["in_context"])
    row = (0, int(inside[0]), int(inside[-1]) + 1, 0, window["offsets"])
    logits = np.array([window["start_logits"], window["end_logits"]], np.float32).T
    # The pipeline tries all starts and ends, so n_best is no smaller than the window here.
    found = find_spans(make_windows([row]), logits, len(logits), goldens["max_answer_len"])
    ranked = [
        (score, int(start), int(end), context[start:end])
        for score, start, end in zip(found.score, found.start, found.end, strict=True)
    ]
    if key == "answers_with_null":
        ranked.append((found.null_score[0], 0, 0, ""))
        ranked.sort(reverse=True)
    expected = window[key]
    best = ranked[: goldens["top_k"]]
    assert [r[1:] for r in best] == [(a["start"], a["end"], a["answer"]) for a in expected]
    # Their probabilities lack only the factor that the whole window shares.
    ratios = [np.exp(r[0]) / a["score"] for r, a in zip(best, expected, strict=True)]
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-4)


def test_the_null_answer_is_among_the_goldens():
    ranks = [
        [answer["answer"] for answer in window["answers_with_null"]].index("")
        for _, window in (param.values for param in golden_windows())
        if any(not answer["answer"] for answer in window["answers_with_null"])
    ]
    assert len(ranks) >= 2


def test_halves_of_large_logits_keep_their_order():
    """Where each logit is clipped instead, the pair of large ones seems to be the best."""
    tokens = np.arange(3)
    windows = Windows(
        example=np.array([0]), lengths=np.array([3], np.int32),
        context_start=np.array([0], np.int32), context_end=np.array([3], np.int32),
        cls=np.array([0], np.int32), char_start=2 * tokens, char_end=2 * tokens + 1,
    )  # fmt: skip
    logits = np.array([[3.4e38, -3.4e38], [1.6e38, 1.5e38], [-3.4e38, 0.0]], np.float32)
    (best,) = rows_of(find_spans(windows, logits, 1, 3)).values()
    assert best == next(iter(naive_spans(windows, logits, 1, 3).values()))
    assert best[0][1:] == (0, 3)
