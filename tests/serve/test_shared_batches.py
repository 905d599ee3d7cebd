"""Windows of several requests are predicted together, and no request harms another."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from served import until

from retune.tasks.qa.windows.windows import Features
from retune.tools.serve.shared_batches import (
    CancelledRequestError,
    PredictionError,
    SharedBatches,
    fair_shares,
    joined,
    windows_of,
)


def windows(*lengths: int, first: int = 0) -> Features:
    """Windows whose token ids count from `first`."""
    count, tokens = len(lengths), sum(lengths)
    of_windows = np.arange(count, dtype=np.int32)
    ids = np.arange(first, first + tokens, dtype=np.int32)
    return Features(
        example=of_windows.astype(np.int64), lengths=np.array(lengths, np.int32),
        context_start=of_windows, context_end=of_windows + 1, cls=of_windows * 0,
        char_start=ids, char_end=ids + 1, input_ids=ids, token_type_ids=ids * 0,
        start_position=of_windows, end_position=of_windows,
    )  # fmt: skip


def logits_of(part: Features) -> Any:
    """Logits from which one can tell whose they are."""
    return np.stack([part.input_ids, -part.input_ids], axis=1).astype(np.float32)


class Model:
    """Predicts `logits_of`; stands still while `gate` is closed, and notes its batches."""

    def __init__(self, fails: Callable[[Features], bool] = lambda part: False) -> None:
        self.batches: list[int] = []
        self.gate = threading.Event()
        self.entered = threading.Event()
        self._fails = fails

    def __call__(self, part: Features) -> Any:
        self.batches.append(len(part))
        self.entered.set()
        assert self.gate.wait(30)
        if self._fails(part):
            raise ValueError("a window is poisoned")
        return logits_of(part)


def in_threads(
    shared: SharedBatches, model: Model, first: Features, *others: Features
) -> tuple[Any, list[Any]]:
    """Ask for `first`, for all others once it is being predicted, and return their futures."""
    pool = ThreadPoolExecutor(len(others) + 1)
    begun = pool.submit(shared.request().predict, first)
    assert model.entered.wait(30)
    waiting = [pool.submit(shared.request().predict, part) for part in others]
    until(lambda: len(shared._new) == len(others))
    pool.shutdown(wait=False)
    return begun, waiting


@given(st.lists(st.integers(1, 50), min_size=1, max_size=20), st.data())
def test_shares_are_fair(wanted: list[int], data: st.DataObject) -> None:
    room = data.draw(st.integers(len(wanted), 100))
    shares = fair_shares(wanted, room)
    assert sum(shares) == min(room, sum(wanted))
    for share, want in zip(shares, wanted, strict=True):
        assert 1 <= share <= want
        assert share == want or share >= max(shares) - 1


@given(st.lists(st.lists(st.integers(1, 6), min_size=1, max_size=4), min_size=1, max_size=4))
def test_windows_are_the_same_after_they_were_joined_and_cut(lengths: list[list[int]]) -> None:
    parts = [windows(*its, first=100 * place) for place, its in enumerate(lengths)]
    together = joined(parts)
    bounds = np.cumsum([0, *map(len, parts)])
    for part, (low, high) in zip(parts, pairwise(bounds), strict=True):
        again = windows_of(together, low, high)
        assert all(
            np.array_equal(getattr(part, column.name), getattr(again, column.name))
            for column in fields(Features)
        )


def test_requests_that_wait_are_predicted_together_and_each_gets_its_logits() -> None:
    model, seen = Model(), list[tuple[int, int]]()
    shared = SharedBatches(model, 8, lambda *sizes: seen.append(sizes))
    parts = [windows(3, 5), windows(4, first=50), windows(2, 2, 2, first=90)]
    begun, waiting = in_threads(shared, model, windows(7, first=200), *parts)
    model.gate.set()
    assert np.array_equal(begun.result(30), logits_of(windows(7, first=200)))
    for future, part in zip(waiting, parts, strict=True):
        assert np.array_equal(future.result(30), logits_of(part))
    assert seen == [(1, 1), (6, 3)]
    shared.close()


def test_long_contexts_do_not_hold_up_a_short_one() -> None:
    model, sizes = Model(), list[tuple[int, int]]()
    shared = SharedBatches(model, 4, lambda *seen: sizes.append(seen))
    long, short = windows(*[2] * 40), windows(3, first=900)
    begun, waiting = in_threads(shared, model, long, *[long] * 3, short)
    model.gate.set()
    for future in (begun, *waiting[:3]):
        assert np.array_equal(future.result(30), logits_of(long))
    assert np.array_equal(waiting[3].result(30), logits_of(short))
    shared.close()
    # The first one alone, then the next four in turn: three long ones and the short one.
    assert sizes[:3] == [(4, 1), (4, 4), (4, 4)]
    assert sum(count for count, _ in sizes) == 161


def test_windows_that_fail_take_no_other_request_with_them() -> None:
    model = Model(lambda part: bool((part.input_ids == 66).any()))
    shared = SharedBatches(model, 8, lambda *_: None)
    good, bad = windows(3, first=1), windows(2, first=66)
    begun, (first, broken, last) = in_threads(shared, model, windows(1), good, bad, good)
    model.gate.set()
    for future in (first, last):
        assert np.array_equal(future.result(30), logits_of(good))
    with pytest.raises(PredictionError, match="the model failed: a window is poisoned"):
        broken.result(30)
    with pytest.raises(PredictionError, match="a window is poisoned"):  # in a batch of its own
        shared.request().predict(bad)
    assert np.array_equal(begun.result(30), logits_of(windows(1)))
    assert shared.is_alive
    shared.close()


def test_a_cancelled_request_ends_before_its_next_batch() -> None:
    model = Model()
    shared = SharedBatches(model, 4, lambda *_: None)
    request = shared.request()
    with ThreadPoolExecutor(1) as pool:
        long = pool.submit(request.predict, windows(*[2] * 400))
        assert model.entered.wait(30)
        request.cancel()
        model.gate.set()
        with pytest.raises(CancelledRequestError):
            long.result(30)
    assert model.batches == [4]
    shared.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_nobody_waits_for_a_thread_that_died() -> None:
    def broken(*_: int) -> None:
        raise RuntimeError("a fault of ours")

    shared = SharedBatches(Model(), 4, broken)
    with pytest.raises(CancelledRequestError):
        shared.request().predict(windows(3))
    shared._thread.join(30)
    assert not shared.is_alive
    with pytest.raises(CancelledRequestError):
        shared.request().predict(windows(3))


def test_nothing_waits_for_a_closed_server() -> None:
    model = Model()
    shared = SharedBatches(model, 4, lambda *_: None)
    begun, (waiting,) = in_threads(shared, model, windows(*[2] * 8), windows(3))
    closing = threading.Thread(target=shared.close)
    closing.start()
    until(lambda: shared._is_closed)
    model.gate.set()
    closing.join(30)
    for future in (begun, waiting):
        with pytest.raises(CancelledRequestError):
            future.result(30)
    with pytest.raises(CancelledRequestError, match="the server stops"):
        shared.request().predict(windows(3))
    assert not shared.is_alive
