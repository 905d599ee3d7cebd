"""The sentences of a passage, by punctuation."""

import re

#: A sentence ends at a line break, behind . ! ? before a blank and what can begin a sentence, or
#: behind the marks of Chinese, Japanese, Hindi, Arabic and Urdu.
_END = re.compile(
    r"\s*\n\s*"
    r"|(?<=[.!?])[\"'\u201d\u2019)\]]*\s+(?=[\"'\u201c\u2018(\[]*[^\W_a-z])"
    r"|(?<=[\u3002\uff01\uff1f\u0964\u061f\u06d4])\s*"
)
#: Behind these the sentence goes on: titles, initials and common abbreviations.
_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|St|Prof|Gen|Col|Capt|Lt|Sr|Jr|No|vs|etc|approx|e\.g|i\.e|cf|ca)|\b[A-Z])\.$"
)
_LONGEST = 12  # characters of an abbreviation, with what is before it


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Return start and end (exclusive) of each sentence, which together cover the text."""
    starts = [0]
    for found in _END.finditer(text):
        before = text[max(0, found.start() - _LONGEST) : found.start()]
        goes_on = "\n" not in found[0] and _ABBREVIATION.search(before)
        if starts[-1] < found.end() < len(text) and not goes_on:
            starts.append(found.end())
    return [*zip(starts, [*starts[1:], len(text)], strict=True)]


def sentences_of(spans: list[tuple[int, int]], start: int, end: int) -> frozenset[int]:
    """Return the numbers of the sentences that the characters [start, end) touch."""
    return frozenset(
        number for number, (low, high) in enumerate(spans) if start < high and low < end
    )
