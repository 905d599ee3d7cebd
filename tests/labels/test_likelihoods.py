"""The likelihoods of spans, by the logits of one model and of several."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from labels.stored_answers import questions, windows_of, write_run

from retune.core.errors import RetuneError
from retune.tasks.qa.labels.likelihoods import LOWEST, Reading, Readings, read_readings
from retune.tasks.qa.labels.runs import read_run
from retune.tasks.qa.windows.windows import Windows

#: Two windows on "Ada met Bo in Vik", each with CLS; "Bo" is in both.
CHARS = [(0, 0), (0, 3), (4, 7), (8, 10), (0, 0), (8, 10), (11, 13), (14, 17)]
LOGITS = np.array([[9, 9], [2, 0], [1, 1], [0, 3], [9, 9], [1, 2], [0, 0], [-90, 1]], np.float32)


def two_windows() -> Windows:
    chars, ones = np.array(CHARS, np.int32), np.ones(2, np.int32)
    return Windows(
        np.zeros(2, np.int64), 4 * ones, ones, 4 * ones, 0 * ones, chars[:, 0], chars[:, 1]
    )


def reading(logits: np.ndarray = LOGITS) -> Reading:
    return Reading(two_windows(), logits)


def test_probabilities_are_shares_of_all_context_tokens_of_all_windows() -> None:
    inside = [1, 2, 3, 5, 6, 7]
    expected = torch.log_softmax(torch.tensor(LOGITS[inside], dtype=torch.float64), dim=0)
    found = reading().likelihood((0, 7))
    assert found.start == pytest.approx(float(expected[0, 0]))
    assert found.end == pytest.approx(float(expected[1, 1]))
    assert found.total == pytest.approx(found.start + found.end)


def test_a_span_in_two_windows_has_the_likelihood_of_the_better_one() -> None:
    inside = [1, 2, 3, 5, 6, 7]
    expected = torch.log_softmax(torch.tensor(LOGITS[inside], dtype=torch.float64), dim=0)
    best = max(float(expected[row].sum()) for row in (2, 3))
    assert reading().likelihood((8, 10)).total == pytest.approx(best)


@pytest.mark.parametrize("span", [(0, 17), (14, 17), (3, 4)])
def test_nothing_is_less_likely_than_the_lowest(span: tuple[int, int]) -> None:
    """A span in no window, one with a logit of -90, and one between two tokens."""
    assert reading().likelihood(span).start == LOWEST
    assert reading().holds(span) == (span == (14, 17))


def test_several_models_count_with_the_mean_of_their_probabilities() -> None:
    other = LOGITS[::-1].copy()
    both = Readings([reading(), reading(other)]).likelihood((8, 10))
    each = [reading(values).likelihood((8, 10)) for values in (LOGITS, other)]
    assert both.start == pytest.approx(np.log(np.mean([np.exp(one.start) for one in each])))
    assert both.end == pytest.approx(np.log(np.mean([np.exp(one.end) for one in each])))


def test_the_order_by_likelihood_is_that_of_cleanlab() -> None:
    """Its self-confidence of a class is the probability of a start (make_label_goldens.py)."""
    path = Path(__file__).parent.parent / "reference" / "label_goldens.json"
    golden = json.loads(path.read_text("utf-8"))
    for logits, label, wanted in zip(
        golden["logits"], golden["labels"], golden["self_confidence"], strict=True
    ):
        ends = 2 * np.arange(len(logits), dtype=np.int32) + 1
        count = np.array([len(logits)], np.int32)
        windows = Windows(np.zeros(1, np.int64), count, 0 * count, count, 0 * count, ends - 1, ends)
        values = np.array([logits, logits], np.float32).T
        found = Reading(windows, values).likelihood((2 * label, 2 * label + 1))
        assert np.exp(found.start) == pytest.approx(wanted, abs=1e-6)


def test_readings_come_in_the_order_of_the_questions(tmp_path: Path) -> None:
    examples = questions(3)
    write_run(tmp_path, examples)
    found = [*read_readings(tmp_path / "test_features/test.arrow", tmp_path / "logits")]
    assert len(found) == len(examples)
    values = np.load(tmp_path / "logits/logits.npy")
    tokens = windows_of(examples).window_tokens()
    for row in (0, 5, 11):
        alone = Reading(windows_of([examples[row]]), values[tokens[row] : tokens[row + 1]])
        span = examples[row].spans[0]
        assert found[row].likelihood(span) == pytest.approx(alone.likelihood(span))


def test_a_run_whose_parts_are_of_different_questions_is_refused(tmp_path: Path) -> None:
    write_run(tmp_path, questions(3))
    lines = (tmp_path / "predictions/nbest.jsonl").read_text("utf-8").splitlines(keepends=True)
    for wrong in (lines[:-1], [*lines[1:], lines[0]]):
        (tmp_path / "predictions/nbest.jsonl").write_text("".join(wrong), encoding="utf-8")
        with pytest.raises(RetuneError, match="are of different questions; run `dvc repro`"):
            [*read_run(tmp_path)]
