"""What the windows of a split lose, counted before any model is trained.

The ceiling is the EM and F1 of a reader that always picks the best span of tokens that
its windows offer: answers that are cut by every window, or that begin inside a token,
keep it below 100. Where no window offers a reference answer word for word, all spans of
up to 30 tokens are tried, and all inside the words of a reference.
"""

import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from retune.qa.examples import Answer, Example
from retune.qa.score import Normalizer, best_scores
from retune.qa.windows import Features, Ints, Longs, changes

_Label = tuple[int, int] | None  # characters [first, behind the last) in the context
_Tokens = tuple[Ints, Ints]  # starts and ends of tokens, in characters


class Audit:
    """Adds up what happens to the questions of one split."""

    def __init__(
        self,
        split: str,
        write_note: Callable[[dict[str, Any]], None],
        normalizer: Normalizer | None,
        *,
        squad_v2: bool,
    ) -> None:
        """Audit `split`; with a `normalizer` its ceiling, too.

        `write_note` gets a line for each question that loses something.
        """
        self.split = split
        self.counts: Counter[str] = Counter()
        self.most_windows = 0
        self._write_note = write_note
        self._normalizer = normalizer
        self._squad_v2 = squad_v2
        self._exact_match = 0.0
        self._f1 = 0.0

    def add(self, examples: Sequence[Example], windows: Features, question_cut: Longs) -> None:
        """Count N questions with all their windows; `question_cut` (N,) in tokens."""
        bounds = np.flatnonzero(changes(windows.example, end=True))
        self.counts.update(questions=len(examples), windows=len(windows), tokens=windows.tokens)
        self.most_windows = max(self.most_windows, int(np.diff(bounds).max()))
        empty = np.logical_and.reduceat(windows.context_start == windows.context_end, bounds[:-1])
        labels = _labels(windows, bounds)
        columns = zip(examples, question_cut.tolist(), empty.tolist(), labels, strict=True)
        for row, (example, cut, is_empty, label) in enumerate(columns):
            if cut:
                self._note(example, "question_cut", f"{cut} tokens cut off")
            if is_empty:
                self._note(example, "context_without_tokens", "the tokenizer keeps nothing of it")
            if example.answers:
                self._check_label(example, example.answers[0], label)
            if self._normalizer and not _offers_answer(example, label):
                spans = _context_tokens(windows, bounds[row], bounds[row + 1])
                exact_match, f1 = self._best(example, spans, self._normalizer)
                self._exact_match += exact_match
                self._f1 += f1
            elif self._normalizer:
                self._exact_match += 1.0
                self._f1 += 1.0

    def summary(self) -> dict[str, Any]:
        """Counts, and for an evaluation split the ceiling in percent."""
        questions = self.counts["questions"]
        names = ["questions", "windows", "tokens", *KINDS]
        rows: dict[str, Any] = {"split": self.split} | {name: self.counts[name] for name in names}
        rows["windows_per_question"] = self.counts["windows"] / questions
        rows["most_windows"] = self.most_windows
        if self._normalizer:
            rows["ceiling_exact_match"] = 100 * self._exact_match / questions
            rows["ceiling_f1"] = 100 * self._f1 / questions
        return rows

    def sentence(self) -> str:
        """The headline of `summary`, for people."""
        counts = self.counts
        text = f"{self.split}: {counts['questions']:,} questions, {counts['windows']:,} windows"
        lost = counts["answer_in_no_window"]
        return f"{text}, {lost} answers in no window" if lost else text

    def _note(self, example: Example, kind: str, detail: str) -> None:
        self.counts[kind] += 1
        self._write_note({"id": example.id, "kind": kind, "detail": detail})

    def _check_label(self, example: Example, answer: Answer, label: _Label) -> None:
        if label is None:
            self._note(example, "answer_in_no_window", answer.text)
        elif (text := example.context[slice(*label)]) != answer.text:
            self._note(example, "label_widened", f"{answer.text!r} became {text!r}")

    def _best(
        self, example: Example, windows: list[_Tokens], normalizer: Normalizer
    ) -> tuple[float, float]:
        golds = [answer.text for answer in example.answers]
        best = 0.0, 0.0
        for text in _spans(example.context, sorted(set(golds)), windows):
            if text in golds:
                return 1.0, 1.0
            exact_match, f1 = best_scores(
                text, golds, squad_v2=self._squad_v2, normalizer=normalizer
            )
            best = max(best[0], exact_match), max(best[1], f1)
            if best == (1.0, 1.0):
                break
        return best


#: What a question can lose, as counted in the summary and listed in the notes.
KINDS = ("answer_in_no_window", "label_widened", "question_cut", "context_without_tokens")


def _labels(windows: Features, bounds: Longs) -> list[_Label]:
    """Characters of each question's label in the first window that has it."""
    window = np.arange(len(windows))
    window[windows.start_position == windows.cls] = len(windows)
    first = np.minimum.reduceat(window, bounds[:-1])
    found, first = first < len(windows), np.minimum(first, len(windows) - 1)
    token = windows.window_tokens()[first]
    low = windows.char_start[token + windows.start_position[first]].tolist()
    high = windows.char_end[token + windows.end_position[first]].tolist()
    pairs = zip(low, high, strict=True)
    return [pair if there else None for there, pair in zip(found.tolist(), pairs, strict=True)]


def _offers_answer(example: Example, label: _Label) -> bool:
    """Whether there is nothing to find, or a label that is a reference answer word for word."""
    if not example.answers:
        return True
    text = _text(example.context, *label) if label else None
    return any(answer.text == text for answer in example.answers)


def _spans(context: str, golds: list[str], windows: list[_Tokens]) -> Iterator[str]:
    """Texts of token spans, the likely best first: see the ceiling."""
    places = [
        (match.start(), match.end())
        for gold in golds
        for match in re.finditer(re.escape(gold), context)
    ]
    touching = list(_touching(places, windows))
    for starts, ends in touching:
        yield _text(context, starts[0], ends[-1])
    for starts, ends in touching:
        yield from _inside(context, starts, ends, longest=len(starts))
    for window in windows:
        yield from _inside(context, *window, longest=_LONGEST_SPAN)


_LONGEST_SPAN = 30


def _touching(places: list[tuple[int, int]], windows: list[_Tokens]) -> Iterator[_Tokens]:
    """Starts and ends of the tokens that touch a place, for each place and window."""
    for (low, high), (starts, ends) in itertools.product(places, windows):
        touched = (ends > low) & (starts < high)
        if touched.any():
            yield starts[touched], ends[touched]


def _context_tokens(windows: Features, low: int, high: int) -> list[_Tokens]:
    """Starts and ends of the context tokens of the windows [low, high)."""
    begin = windows.window_tokens()[low:high]
    first, last = begin + windows.context_start[low:high], begin + windows.context_end[low:high]
    parts = map(slice, first.tolist(), last.tolist())
    return [(windows.char_start[part], windows.char_end[part]) for part in parts]


def _inside(context: str, starts: Ints, ends: Ints, longest: int) -> Iterator[str]:
    for first, start in enumerate(starts):
        for end in ends[first : first + longest]:
            yield _text(context, start, end)


def _text(context: str, start: int, end: int) -> str:
    # As in postprocess, a span does not end between a letter and its accent.
    while end < len(context) and unicodedata.combining(context[end]):
        end += 1
    return context[start:end]
