"""Perturbations of the passage; the question stays."""

import random
import re
from collections.abc import Sequence
from dataclasses import replace

from retune.tasks.qa.analyse.sentences import sentence_spans
from retune.tasks.qa.perturb.both_texts import moved
from retune.tasks.qa.perturb.letters import mistyped, typed_words
from retune.tasks.qa.questions.examples import Example

_TYPO_SHARE = 0.1  # of the words
_WORD = re.compile(r"\S+")
_BETWEEN = "\n"  # joined passages


def with_typos(example: Example, draw: random.Random) -> Example | None:
    """Mistype one of ten words of the passage, at least one; none that a gold answer touches."""
    words = [
        (low, high)
        for low, high in typed_words(example.context)
        if all(high <= start or end <= low for start, end in example.spans)
    ]
    if not words:
        return None
    chances = [draw.random() for _ in words]
    least = sorted(chances)[min(len(words), max(1, round(_TYPO_SHARE * len(words)))) - 1]
    pieces, shifts, done = [], list[tuple[int, int]](), 0
    for (low, high), chance in zip(words, chances, strict=True):
        if chance <= least:
            word = mistyped(example.context[low:high], draw)
            pieces += [example.context[done:low], word]
            shifts.append((high, len(word) - (high - low)))
            done = high
    context = "".join([*pieces, example.context[done:]])
    answers = moved(example, lambda start: start + sum(by for end, by in shifts if end <= start))
    return replace(example, context=context, answers=answers)


def with_moved_paragraph(example: Example, draw: random.Random) -> Example | None:
    """Put the second half of the passage before its first half.

    It is cut between two paragraphs, or between two sentences if it has only one paragraph, at the
    cut nearest to its middle that no gold answer crosses.
    """
    text = example.context
    starts = [low for low, _ in sentence_spans(text)][1:]
    lines = [start for start in starts if text[:start].rstrip(" \t").endswith("\n")]
    free = [
        start
        for start in lines or starts
        if text[start:].strip() and not any(low < start < high for low, high in example.spans)
    ]
    if not free:
        return None
    cut = min(free, key=lambda start: (abs(2 * start - len(text)), start))
    between = text[len(text[:cut].rstrip()) : cut] or " "
    context = text[cut:] + between + text[:cut]
    first = len(text) - cut + len(between)
    answers = moved(example, lambda low: low - cut if low >= cut else low + first)
    return replace(example, context=context, answers=answers)


def joined(others: Sequence[Example], example: Example, draw: random.Random) -> Example | None:
    """Put another passage before or behind the passage, each with a chance of half.

    It is of another article, if there is one, and has no gold answer.
    """
    golds = [answer.text.casefold() for answer in example.answers]
    free = [
        other
        for other in others
        if other.context != example.context
        and not any(gold in other.context.casefold() for gold in golds)
    ]
    free = [other for other in free if other.title != example.title] or free
    if not free:
        return None
    other = free[int(draw.random() * len(free))].context
    if draw.random() < 0.5:
        return replace(example, context=example.context + _BETWEEN + other)
    before = other + _BETWEEN
    answers = moved(example, lambda start: start + len(before))
    return replace(example, context=before + example.context, answers=answers)


def in_original(original: str, perturbed: str, span: tuple[int, int]) -> str:
    """Return the text of the original passage where the perturbed one has `span`.

    The n-th word of one is the n-th word of the other, at whatever place. A typing error in an
    answer then does not count as another answer.
    """
    low, high = span
    here, there = (
        [match.span() for match in _WORD.finditer(text)] for text in (original, perturbed)
    )
    inside = [place for place, (start, end) in enumerate(there) if start < high and low < end]
    if not inside:
        return ""
    first, last = inside[0], inside[-1]
    start = here[first][0] + max(0, low - there[first][0])
    end = here[last][1] - max(0, there[last][1] - high)
    return original[start:end]
