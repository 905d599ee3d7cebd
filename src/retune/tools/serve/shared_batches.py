"""Predict the windows of several requests together, on one thread.

A batch takes windows of the requests that have waited longest for one, a fair share of each. So a
long context does not hold up short ones, and a request that is cancelled stops at the next batch.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, fields
from itertools import accumulate, pairwise
from threading import Condition, Event, Thread
from typing import Any

import numpy as np

from retune.core.errors import RetuneError
from retune.inference.answering import Predict
from retune.tasks.qa.postprocess.spans import Floats
from retune.tasks.qa.windows.windows import Features

#: The columns with a value for each token; all others have one for each window.
_OF_TOKENS = {"char_start", "char_end", "input_ids", "token_type_ids"}


class CancelledRequestError(RetuneError):
    """Nobody waits for the answer any more."""


class PredictionError(RetuneError):
    """The model failed."""


@dataclass(eq=False)
class _Job:
    """The windows of one request that are predicted.

    Attributes:
        part: the windows, at least one.
        is_cancelled: whether nobody waits any more.
        done: how many windows are predicted.
        logits: theirs.
        result: the logits of all windows, shape (tokens, 2).
    """

    part: Features
    is_cancelled: Event
    done: int = 0
    logits: list[Floats] = field(default_factory=list)
    result: "Future[Floats]" = field(default_factory=Future)

    @property
    def left(self) -> int:
        return len(self.part) - self.done

    def add(self, logits: Floats, windows: int) -> None:
        self.logits.append(logits)
        self.done += windows
        if not self.left:
            self.result.set_result(np.concatenate(self.logits))


class Request:
    """One request, whose windows are predicted with those of others.

    Attributes:
        is_predicted: whether windows were predicted, so that what was asked is in order.
    """

    def __init__(self, add: Callable[[_Job], None]) -> None:
        self._add = add
        self._is_cancelled = Event()
        self.is_predicted = False

    def predict(self, part: Features) -> Floats:
        """Return the logits of windows, shape (tokens, 2); wait for them.

        Raises:
            CancelledRequestError: the request was cancelled, or the server stops.
            PredictionError: the model failed.
        """
        job = _Job(part, self._is_cancelled)
        self._add(job)
        logits = job.result.result()
        self.is_predicted = True
        return logits

    def cancel(self) -> None:
        """Predict no more windows of this request."""
        self._is_cancelled.set()


class SharedBatches:
    """Predicts for many threads on a thread of its own, until it is closed.

    Args:
        predict: returns the logits of windows.
        most_windows: of a batch.
        on_batch: receives the number of windows and of requests in each batch.
    """

    def __init__(
        self, predict: Predict, most_windows: int, on_batch: Callable[[int, int], None]
    ) -> None:
        self._predict, self._most, self._on_batch = predict, most_windows, on_batch
        self._changed = Condition()
        self._new: list[_Job] = []
        self._is_closed = False
        self._thread = Thread(target=self._run, name="predict", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether windows are predicted."""
        return self._thread.is_alive()

    def request(self) -> Request:
        """Return a new request."""
        return Request(self._add)

    def close(self) -> None:
        """End after the current batch; requests that wait are cancelled."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()

    def _add(self, job: _Job) -> None:
        with self._changed:
            if self._is_closed:
                raise CancelledRequestError("the server stops")
            self._new.append(job)
            self._changed.notify()

    def _run(self) -> None:
        """Predict batches until the end, however it comes; then nobody waits any more."""
        jobs: list[_Job] = []
        try:
            while not self._is_closed:
                if jobs := self._wanted(jobs):
                    jobs = self._step(jobs)
        finally:
            with self._changed:
                self._is_closed = True
            for job in [*jobs, *self._new]:
                if not job.result.done():
                    job.result.set_exception(CancelledRequestError("the server stops"))

    def _wanted(self, jobs: list[_Job]) -> list[_Job]:
        """Wait for jobs; return the new ones behind `jobs`, without those that were cancelled."""
        with self._changed:
            self._changed.wait_for(lambda: jobs or self._new or self._is_closed)
            jobs = [*jobs, *self._new]
            self._new.clear()
        for job in jobs:
            if job.is_cancelled.is_set():
                job.result.set_exception(CancelledRequestError("the request was cancelled"))
        return [job for job in jobs if not job.result.done()]

    def _step(self, jobs: list[_Job]) -> list[_Job]:
        """Predict one batch; return the unfinished jobs in the order of their next turn.

        If the batch fails, the windows of each request are predicted by themselves.
        """
        first, others = jobs[: self._most], jobs[self._most :]
        sizes = fair_shares([job.left for job in first], self._most)
        shares = [*zip(first, sizes, strict=True)]
        self._on_batch(sum(sizes), len(shares))
        try:
            self._predict_together(shares)
        except BaseException as error:  # libraries of Rust panic by others than Exception
            for share in shares:
                self._predict_alone(share, error if len(shares) == 1 else None)
        return [*others, *(job for job in first if not job.result.done())]

    def _predict_alone(self, share: tuple[_Job, int], error: BaseException | None) -> None:
        """Predict windows of one request; `error` if that failed already."""
        try:
            if error is None:
                return self._predict_together([share])
        except BaseException as raised:
            error = raised
        failure = PredictionError(f"the model failed: {error}")
        failure.__cause__ = error
        return share[0].result.set_exception(failure)

    def _predict_together(self, shares: Sequence[tuple[_Job, int]]) -> None:
        parts = [windows_of(job.part, job.done, job.done + size) for job, size in shares]
        logits = self._predict(joined(parts))
        bounds = accumulate((part.tokens for part in parts), initial=0)
        for (job, size), (low, high) in zip(shares, pairwise(bounds), strict=True):
            job.add(logits[low:high], size)


def fair_shares(wanted: Sequence[int], room: int) -> list[int]:
    """Share `room` among at most as many that want some.

    Nobody gets less than another one who wants more, but for what cannot be divided.
    """
    shares = [0] * len(wanted)
    for left, place in enumerate(sorted(range(len(wanted)), key=wanted.__getitem__)):
        shares[place] = min(wanted[place], -(-room // (len(wanted) - left)))
        room -= shares[place]
    return shares


def windows_of(part: Features, low: int, high: int) -> Features:
    """Return the windows from `low` to `high`, without the last."""
    tokens = part.window_tokens()
    rows, its = slice(low, high), slice(tokens[low], tokens[high])
    return _each_column(lambda name: getattr(part, name)[its if name in _OF_TOKENS else rows])


def joined(parts: Sequence[Features]) -> Features:
    """Return the windows of several parts, one behind the other."""
    if len(parts) == 1:
        return parts[0]
    return _each_column(lambda name: np.concatenate([getattr(part, name) for part in parts]))


def _each_column(make: Callable[[str], Any]) -> Features:
    return Features(**{column.name: make(column.name) for column in fields(Features)})
