"""What the windows of a split lose, counted before any model is trained.

The ceiling is the EM and F1 of a reader that always picks the best span of tokens that
its windows offer: answers that are cut by every window, or that begin inside a token,
keep it below 100. Where no window offers a reference answer word for word, all spans of
up to 30 tokens are tried, and all inside the words of a reference.
"""

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from retune.qa.characters import is_mark
from retune.qa.examples import Answer, Example
from retune.qa.normalizers import NORMALIZERS
from retune.qa.score import Normalizer, best_scores
from retune.qa.windows import Features, Ints, Longs, changes

_Label = tuple[int, int] | None  # characters [first, behind the last) in the context
_Tokens = tuple[Ints, Ints]  # starts and ends of tokens, in characters


class Audit:
    """Adds up what happens to the questions of one split.

    Attributes:
        counts: of questions, windows, tokens and of each kind of loss.
        ids: the questions with each kind of loss.
        longest_lost: tokens of the longest answer that no window holds whole.
    """

    def __init__(
        self,
        split: str,
        write_note: Callable[[dict[str, Any]], None],
        normalizer: Normalizer | None,
        *,
        squad_v2: bool,
    ) -> None:
        """Audit `split`; with a `normalizer` widened labels as scored and, but in train, a ceiling.

        `write_note` gets a line for each question that loses something.
        """
        self.split = split
        self.counts: Counter[str] = Counter()
        self.ids: defaultdict[str, list[str]] = defaultdict(list)
        self.longest_lost = 0
        self.most_windows = 0
        self._write_note = write_note
        self._normalizer = normalizer
        self._ceiling_by = None if split == "train" else normalizer
        self._squad_v2 = squad_v2
        self._exact_match = 0.0
        self._f1 = 0.0

    def add(
        self,
        examples: Sequence[Example],
        windows: Features,
        question_cut: Longs,
        answer_tokens: Longs,
        room: Longs,
    ) -> None:
        """Count N questions with all their windows; the rest as in `retune.qa.tokenize.Cut`."""
        bounds = np.flatnonzero(changes(windows.example, end=True))
        self.counts.update(questions=len(examples), windows=len(windows), tokens=windows.tokens)
        self.most_windows = max(self.most_windows, int(np.diff(bounds).max()))
        empty = np.logical_and.reduceat(windows.context_start == windows.context_end, bounds[:-1])
        labels = _labels(windows, bounds)
        lists = [column.tolist() for column in (question_cut, empty, answer_tokens, room)]
        columns = zip(examples, labels, *lists, strict=True)
        for row, (example, label, cut, is_empty, tokens, fits) in enumerate(columns):
            if example.question != example.question.strip():
                self._note(example, "question_trimmed", "white space at its edges left out")
            if cut:
                self._note(example, "question_cut", f"{cut} tokens cut off")
            if is_empty:
                self._note(example, "context_without_tokens", "the tokenizer keeps nothing of it")
            if example.answers:
                self._check_answers(example, label, tokens, fits)
            if self._ceiling_by and not _offers_answer(example, label):
                spans = _context_tokens(windows, bounds[row], bounds[row + 1])
                exact_match, f1 = self._best(example, spans, self._ceiling_by)
                self._exact_match += exact_match
                self._f1 += f1
            elif self._ceiling_by:
                self._exact_match += 1.0
                self._f1 += 1.0

    def summary(self) -> dict[str, Any]:
        """Counts, and for an evaluation split the ceiling in percent."""
        questions = self.counts["questions"]
        names = ["questions", "answers", "windows", "tokens", *KINDS, *COUNTED]
        rows: dict[str, Any] = {"split": self.split} | {name: self.counts[name] for name in names}
        rows["windows_per_question"] = self.counts["windows"] / questions
        rows["most_windows"] = self.most_windows
        if self._ceiling_by:
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
        self.ids[kind].append(example.id)
        self._write_note({"id": example.id, "kind": kind, "detail": detail})

    def _check_answers(self, example: Example, label: _Label, tokens: int, room: int) -> None:
        answer = example.answers[0]
        self.counts["answers"] += 1
        if len(example.answers) > 1 and self.split == "train":
            detail = f"the first of {len(example.answers)} is learned"
            self._note(example, "several_answers", detail)
        if label is None:
            self.longest_lost = max(self.longest_lost, tokens)
            self.counts["answer_longer_than_window"] += tokens > room
            detail = f"{tokens} tokens, {room} fit into a window: {answer.text}"
            self._note(example, "answer_in_no_window", detail)
        elif (text := _text(example.context, *label)) != answer.text:
            self.counts["label_widened_as_scored"] += self._differ(answer, text)
            self._note(example, "label_widened", f"{answer.text!r} became {text!r}")

    def _differ(self, answer: Answer, text: str) -> bool:
        normalize = NORMALIZERS.get(self._normalizer or "", str.split)
        return normalize(answer.text) != normalize(text)

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
KINDS = (
    "answer_in_no_window",
    "label_widened",
    "question_cut",
    "question_trimmed",
    "context_without_tokens",
    "several_answers",
)
#: Parts of the first two that are counted: longer than any window; another text to the normaliser.
COUNTED = ("answer_longer_than_window", "label_widened_as_scored")


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
    while end < len(context) and is_mark(context[end]):
        end += 1
    return context[start:end]
