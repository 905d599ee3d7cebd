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
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from retune.qa.examples import Answer, Example
from retune.qa.features import Window
from retune.qa.score import Normalizer, ScoreParams, best_scores
from retune.qa.windows import Ints
from retune.storage import write_json_lines


class Audit:
    """Adds up what happens to the questions of one split."""

    def __init__(self, split: str, scoring: ScoreParams | None, *, squad_v2: bool) -> None:
        """Audit `split`; with `scoring` its ceiling, too."""
        self.split = split
        self.counts: Counter[str] = Counter()
        self.most_windows = 0
        self.notes: list[dict[str, Any]] = []
        self._scoring = scoring
        self._squad_v2 = squad_v2
        self._exact_match = 0.0
        self._f1 = 0.0

    def add(self, example: Example, windows: list[Window], question_cut: int) -> None:
        """Count one question with all its windows."""
        self.counts.update(questions=1, windows=len(windows))
        self.counts["tokens"] += sum(window.length for window in windows)
        self.most_windows = max(self.most_windows, len(windows))
        if question_cut:
            self._note(example, "question_cut", f"{question_cut} tokens cut off")
        if all(window.context_start == window.context_end for window in windows):
            self._note(example, "context_without_tokens", "the tokenizer keeps nothing of it")
        if example.answers:
            self._add_label(example, example.answers[0], windows)
        if self._scoring:
            exact_match, f1 = self._best(example, windows, self._scoring.normalizer)
            self._exact_match += exact_match
            self._f1 += f1

    def summary(self) -> dict[str, Any]:
        """Counts, and for an evaluation split the ceiling in percent."""
        questions = self.counts["questions"]
        names = ["questions", "windows", "tokens", *KINDS]
        rows: dict[str, Any] = {"split": self.split} | {name: self.counts[name] for name in names}
        rows["windows_per_question"] = self.counts["windows"] / questions
        rows["most_windows"] = self.most_windows
        if self._scoring:
            rows["ceiling_exact_match"] = 100 * self._exact_match / questions
            rows["ceiling_f1"] = 100 * self._f1 / questions
        return rows

    def sentence(self) -> str:
        """The headline of `summary`, for people."""
        counts = self.counts
        text = f"{self.split}: {counts['questions']:,} questions, {counts['windows']:,} windows"
        lost = counts["answer_in_no_window"]
        return f"{text}, {lost} answers in no window" if lost else text

    def write_notes(self, path: Path) -> None:
        """Write one line for each question that lost something."""
        write_json_lines(path, self.notes)

    def _note(self, example: Example, kind: str, detail: str) -> None:
        self.counts[kind] += 1
        self.notes.append({"id": example.id, "kind": kind, "detail": detail})

    def _add_label(self, example: Example, answer: Answer, windows: list[Window]) -> None:
        labelled = [window for window in windows if window.start_position != window.cls]
        if not labelled:
            self._note(example, "answer_in_no_window", answer.text)
            return
        window = labelled[0]
        low, high = window.char_start[window.start_position], window.char_end[window.end_position]
        if (text := example.context[low:high]) != answer.text:
            self._note(example, "label_widened", f"{answer.text!r} became {text!r}")

    def _best(
        self, example: Example, windows: list[Window], normalizer: Normalizer
    ) -> tuple[float, float]:
        golds = [answer.text for answer in example.answers]
        if not golds:
            return 1.0, 1.0
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


def _spans(context: str, golds: list[str], windows: list[Window]) -> Iterator[str]:
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
        yield from _inside(context, *_context_tokens(window), longest=_LONGEST_SPAN)


_LONGEST_SPAN = 30


def _touching(places: list[tuple[int, int]], windows: list[Window]) -> Iterator[tuple[Ints, Ints]]:
    """Starts and ends of the tokens that touch a place, for each place and window."""
    for (low, high), window in itertools.product(places, windows):
        starts, ends = _context_tokens(window)
        touched = (ends > low) & (starts < high)
        if touched.any():
            yield starts[touched], ends[touched]


def _context_tokens(window: Window) -> tuple[Ints, Ints]:
    inside = slice(window.context_start, window.context_end)
    return window.char_start[inside], window.char_end[inside]


def _inside(context: str, starts: Ints, ends: Ints, longest: int) -> Iterator[str]:
    for first, start in enumerate(starts):
        for end in ends[first : first + longest]:
            yield _text(context, start, end)


def _text(context: str, start: int, end: int) -> str:
    # As in postprocess, a span does not end between a letter and its accent.
    while end < len(context) and unicodedata.combining(context[end]):
        end += 1
    return context[start:end]
