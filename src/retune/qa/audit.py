"""What the windows of a split lose, counted before any model is trained.

The ceiling is the EM and F1 of a reader that always picks the best span of tokens that
its windows offer: answers that are cut by every window, or that begin inside a token,
keep it below 100.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from retune.qa.examples import Answer, Example
from retune.qa.features import Window
from retune.qa.score import best_scores
from retune.storage import write_json_lines


class Audit:
    """Adds up what happens to the questions of one split."""

    def __init__(self, split: str, *, ceiling: bool, squad_v2: bool) -> None:
        self.split = split
        self.counts: Counter[str] = Counter()
        self.most_windows = 0
        self.notes: list[dict[str, Any]] = []
        self._ceiling = ceiling
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
        if self._ceiling:
            exact_match, f1 = self._best(example, windows)
            self._exact_match += exact_match
            self._f1 += f1

    def summary(self) -> dict[str, Any]:
        """Counts, and for an evaluation split the ceiling in percent."""
        questions = self.counts["questions"]
        names = ["questions", "windows", "tokens", *KINDS]
        rows: dict[str, Any] = {"split": self.split} | {name: self.counts[name] for name in names}
        rows["windows_per_question"] = self.counts["windows"] / questions
        rows["most_windows"] = self.most_windows
        if self._ceiling:
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

    def _best(self, example: Example, windows: list[Window]) -> tuple[float, float]:
        golds = [answer.text for answer in example.answers]
        if not golds:
            return 1.0, 1.0
        best = 0.0, 0.0
        for text in _reachable(example.context, sorted(set(golds)), windows):
            if text in golds:
                return 1.0, 1.0
            exact_match, f1 = best_scores(text, golds, squad_v2=self._squad_v2)
            best = max(best[0], exact_match), max(best[1], f1)
        return best


#: What a question can lose, as counted in the summary and listed in the notes.
KINDS = ("answer_in_no_window", "label_widened", "question_cut", "context_without_tokens")


def _reachable(context: str, golds: list[str], windows: list[Window]) -> Iterator[str]:
    """Texts of token spans at every occurrence of a gold text, the likely best first.

    Where an occurrence does not begin and end with a token, or does not fit in a window,
    all spans inside the tokens that touch it are tried.
    """
    partial = []
    for gold in golds:
        for match in re.finditer(re.escape(gold), context):
            for window in windows:
                starts = window.char_start[window.context_start : window.context_end]
                ends = window.char_end[window.context_start : window.context_end]
                touched = (ends > match.start()) & (starts < match.end())
                if touched.any():
                    low, high = starts[touched], ends[touched]
                    yield context[low[0] : high[-1]]
                    partial.append((low, high))
    for low, high in partial:
        for first in range(len(low)):
            for last in range(first, len(high)):
                yield context[low[first] : high[last]]
