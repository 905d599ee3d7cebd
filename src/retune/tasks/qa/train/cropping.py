"""Cropping: in each epoch a window may lose context on both sides of its answer.

The model sees the same question in another context each time, as images are cropped at random in
vision. Shorter windows also take less time. Validation and test windows stay whole.
"""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from retune.tasks.qa.predict.batches import ANSWER
from retune.tasks.qa.train.distillation import TEACHER

#: The key of a window for its place in its split.
PLACE = "place"
#: A teacher's probability from which on a token is part of its answer.
_LIKELY = 0.05
_TOKENS = ("input_ids", "token_type_ids")


class PlacedRows:
    """Rows with their places, by which random numbers are drawn for each."""

    def __init__(self, rows: Any) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> dict[str, Any]:
        """Return a row with its `PLACE`."""
        return {**self.rows[place], PLACE: place}


class Cropper:
    """Crops windows by random numbers that depend on seed, epoch and place alone.

    Args:
        chance: that a window is cropped in an epoch.
        seed: of the training.
    """

    def __init__(self, chance: float, seed: int) -> None:
        self.chance, self.seed = chance, seed

    def __call__(self, windows: Sequence[Mapping[str, Any]], epoch: int) -> list[Mapping[str, Any]]:
        """Return the windows, some of them cropped."""
        return [self._cropped(window, epoch) for window in windows]

    def _cropped(self, window: Mapping[str, Any], epoch: int) -> Mapping[str, Any]:
        draw = random.Random(f"{self.seed} {epoch} {window[PLACE]}")
        low, high = int(window["context_start"]), int(window["context_end"])
        if draw.random() >= self.chance or low == high:
            return window
        first, last = _answer(window, draw)
        begin = low + int(draw.random() * (first - low + 1))
        end = last + 1 + int(draw.random() * (high - last))
        return cut(window, begin, end)


def _answer(window: Mapping[str, Any], draw: random.Random) -> tuple[int, int]:
    """Return the first and the last token to keep: label and teacher's answer, or any token."""
    low, high = int(window["context_start"]), int(window["context_end"])
    tokens = [int(window[name]) for name in ANSWER]
    if TEACHER in window:
        tokens += np.flatnonzero((window[TEACHER] >= _LIKELY).any(axis=1)).tolist()
    inside = [place for place in tokens if low <= place < high]
    if not inside:
        inside = [low + int(draw.random() * (high - low))]
    return min(inside), max(inside)


def cut(window: Mapping[str, Any], begin: int, end: int) -> dict[str, Any]:
    """Return a window whose context is the tokens [begin, end), which have its answer."""
    low, high = int(window["context_start"]), int(window["context_end"])
    gone = np.r_[low:begin, end:high]

    def moved(place: int) -> int:
        return place - (begin - low) * (place >= low) - (high - end) * (place >= high)

    names = (*ANSWER, "cls", "context_end")
    new: dict[str, Any] = {name: np.delete(window[name], gone) for name in _TOKENS}
    new |= {name: moved(int(window[name])) for name in names}
    if TEACHER in window:
        taught = np.delete(window[TEACHER], gone, axis=0)
        taught[new["cls"]] += window[TEACHER][gone].sum(axis=0)
        new[TEACHER] = taught
    return {**window, **new}
