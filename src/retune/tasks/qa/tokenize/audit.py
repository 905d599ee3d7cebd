"""Count what the windows of a split lose, before any model is trained.

The ceiling is the EM and F1 of a reader that always picks the best span of tokens in its windows.
It is below 100 if every window cuts an answer, or if an answer begins inside a token. The ceiling
"as read" is for a reader whose answers have at most `max_answer_length` tokens.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from retune.core.errors import RetuneError, excerpt
from retune.tasks.qa.questions.examples import Answer, Example
from retune.tasks.qa.questions.splits import SCORED
from retune.tasks.qa.score.normalizers import NORMALIZERS
from retune.tasks.qa.score.score import Normalizer
from retune.tasks.qa.tokenize.ceiling import Ceiling, TokenChars, span_text
from retune.tasks.qa.windows.answer_lengths import shortest_answers
from retune.tasks.qa.windows.windows import Features, Longs, changes

_Label = tuple[int, int] | None  # characters [first, behind the last) in the context

#: The share of unknown tokens from which a split's summary warns.
WARNING_SHARE = 0.01
_EXAMPLES = 3  # of what is unknown


class Audit:
    """Counts what the windows lose of the questions of one split.

    Attributes:
        counts: numbers of questions, windows, tokens and each kind of loss.
        ids: the questions with each kind of loss.
        longest_lost: tokens of the longest answer that no window holds whole.
        unknown: some of the texts that the tokenizer does not know.
    """

    def __init__(
        self,
        split: str,
        write_note: Callable[[dict[str, Any]], None],
        normalizer: Normalizer | None,
        *,
        squad_v2: bool,
        longest: int | None = None,
    ) -> None:
        """Audit `split`.

        Args:
            split: its name.
            write_note: takes a line for each question that loses something.
            normalizer: for comparing widened labels and, in the scored split, for the ceiling.
            squad_v2: whether questions may have no answer.
            longest: the most tokens that an answer may have. Longer answers are counted, and
                there is a ceiling as read.
        """
        self.split = split
        self.counts: Counter[str] = Counter()
        self.ids: defaultdict[str, list[str]] = defaultdict(list)
        self.longest_lost = 0
        self.most_windows = 0
        self.unknown: list[str] = []
        self._write_note = write_note
        self._normalizer = normalizer
        self._longest = longest
        self._ceilings: dict[str, Ceiling] = {}
        if normalizer and split == SCORED:
            self._ceilings[""] = Ceiling(normalizer, squad_v2=squad_v2)
            if longest:
                read = Ceiling(normalizer, squad_v2=squad_v2, longest=longest)
                self._ceilings["_as_read"] = read

    @property
    def unknown_share(self) -> float:
        """The share of the tokens of questions and contexts that are unknown, from 0 to 1."""
        return self.counts["unknown_tokens"] / max(self.counts["text_tokens"], 1)

    def add(
        self,
        examples: Sequence[Example],
        windows: Features,
        question_cut: Longs,
        answer_tokens: Longs,
        room: Longs,
        text_tokens: Longs,
        unknown_tokens: Longs,
        unknown: Sequence[str],
    ) -> None:
        """Count N questions with all their windows; see `tokenize.Cut` for the arguments."""
        bounds = np.flatnonzero(changes(windows.example, end=True))
        self.counts.update(questions=len(examples), windows=len(windows), tokens=windows.tokens)
        self.counts["text_tokens"] += int(text_tokens.sum())
        self.counts["unknown_tokens"] += int(unknown_tokens.sum())
        self.unknown = list(dict.fromkeys([*self.unknown, *unknown]))[:_EXAMPLES]
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
            offered = _offered(example, label, tokens)
            spans = partial(_context_tokens, windows, bounds[row], bounds[row + 1])
            for ceiling in self._ceilings.values():
                ceiling.add(example, spans, offered)
        if self._longest:
            self._check_lengths(examples, windows, bounds, self._longest)

    def require_known(self, limit: float) -> None:
        """Refuse a split of mostly unknown tokens.

        Raises:
            RetuneError: the share of unknown tokens is above `limit`.
        """
        if self.unknown_share > limit:
            raise RetuneError(
                f"{self.split}: {self.unknown_sentence()}; set qa.checkpoint to an encoder "
                f"for this language, or raise qa.tokenize.max_unknown_tokens, now {limit}"
            )

    def summary(self) -> dict[str, Any]:
        """Return the counts, and for the split that is scored the ceilings in percent."""
        questions = self.counts["questions"]
        names = ["questions", "answers", "windows", "tokens", "unknown_tokens", *KINDS, *COUNTED]
        rows: dict[str, Any] = {"split": self.split} | {name: self.counts[name] for name in names}
        rows["windows_per_question"] = self.counts["windows"] / questions
        rows["most_windows"] = self.most_windows
        rows["unknown_token_share"] = self.unknown_share
        for suffix, ceiling in self._ceilings.items():
            exact_match, f1 = ceiling.percent(questions)
            rows[f"ceiling_exact_match{suffix}"] = exact_match
            rows[f"ceiling_f1{suffix}"] = f1
        return rows

    def sentence(self) -> str:
        """Return the headline of `summary` as text."""
        counts = self.counts
        parts = [f"{self.split}: {counts['questions']:,} questions, {counts['windows']:,} windows"]
        if lost := counts["answer_in_no_window"]:
            parts.append(f"{lost} answers in no window")
        if unplaced := counts["unplaced_answer"]:
            parts.append(f"{unplaced:,} questions without a place for their answer")
        if long := counts["answer_too_long"]:
            parts.append(f"{long:,} answers longer than max_answer_length {self._longest}")
            if read := self._ceilings.get("_as_read"):
                parts.append(f"ceiling F1 {read.percent(counts['questions'])[1]:.2f} as read")
        if self.unknown_share > WARNING_SHARE:
            parts.append(f"warning: {self.unknown_sentence()}")
        return ", ".join(parts)

    def unknown_sentence(self) -> str:
        """Describe how much the tokenizer does not know, with examples."""
        such = f", such as {', '.join(map(excerpt, self.unknown))}" if self.unknown else ""
        return f"{self.unknown_share:.1%} of the tokens are unknown to the tokenizer{such}"

    def _note(self, example: Example, kind: str, detail: str) -> None:
        self.counts[kind] += 1
        self.ids[kind].append(example.id)
        self._write_note({"id": example.id, "kind": kind, "detail": detail})

    def _check_answers(self, example: Example, label: _Label, tokens: int, room: int) -> None:
        answer = example.label
        if answer is None:
            detail = f"nowhere in the context: {example.answers[0].text}"
            self._note(example, "unplaced_answer", detail)
            return
        self.counts["answers"] += 1
        if len(example.answers) > 1 and self.split == "train":
            detail = f"the first of {len(example.answers)} is learned"
            self._note(example, "several_answers", detail)
        if label is None:
            self.longest_lost = max(self.longest_lost, tokens)
            self.counts["answer_longer_than_window"] += tokens > room
            detail = f"{tokens} tokens, {room} fit into a window: {answer.text}"
            self._note(example, "answer_in_no_window", detail)
        elif (text := span_text(example.context, *label)) != answer.text:
            self.counts["label_widened_as_scored"] += self._differ(answer, text)
            self._note(example, "label_widened", f"{answer.text!r} became {text!r}")

    def _check_lengths(
        self, examples: Sequence[Example], windows: Features, bounds: Longs, longest: int
    ) -> None:
        shortest = shortest_answers(examples, windows, bounds)
        for row in np.flatnonzero(shortest > longest).tolist():
            self._note(examples[row], "answer_too_long", f"{shortest[row]} tokens or more")

    def _differ(self, answer: Answer, text: str) -> bool:
        normalize = NORMALIZERS.get(self._normalizer or "", str.split)
        return normalize(answer.text) != normalize(text)


#: What a question can lose, as counted in the summary and listed in the notes.
KINDS = (
    "answer_in_no_window",
    "label_widened",
    "question_cut",
    "question_trimmed",
    "context_without_tokens",
    "several_answers",
    "unplaced_answer",
    "answer_too_long",
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


def _offered(example: Example, label: _Label, tokens: int) -> int | None:
    """The number of tokens of a label that is a reference answer word for word, else None.

    0 where there is nothing to find.
    """
    if not example.answers:
        return 0
    text = span_text(example.context, *label) if label else None
    return tokens if any(answer.text == text for answer in example.answers) else None


def _context_tokens(windows: Features, low: int, high: int) -> list[TokenChars]:
    """Starts and ends of the context tokens of the windows [low, high)."""
    begin = windows.window_tokens()[low:high]
    first, last = begin + windows.context_start[low:high], begin + windows.context_end[low:high]
    parts = map(slice, first.tolist(), last.tolist())
    return [(windows.char_start[part], windows.char_end[part]) for part in parts]
