"""The sentences of a passage, by punctuation."""

import re

#: A sentence ends at a line break, or behind . ! ? (or their full-width forms) before a blank and
#: what can begin a sentence.
_END = re.compile(
    r"\n+|(?<=[.!?])[\"'\u201d\u2019)\]]*\s+(?=[\"'\u201c\u2018(\[]*[^\W_a-z])|(?<=[\u3002\uff01\uff1f])"
)
#: Behind these the sentence goes on: titles, initials and common abbreviations.
_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|St|Prof|Gen|Col|Capt|Lt|Sr|Jr|No|vs|etc|approx|e\.g|i\.e|cf|ca)|\b[A-Z])\.$"
)


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Return start and end (exclusive) of each sentence, which together cover the text."""
    starts = [0]
    for found in _END.finditer(text):
        ends_line = found[0].startswith("\n")
        if found.end() < len(text) and (
            ends_line or not _ABBREVIATION.search(text[: found.start()][-12:])
        ):
            starts.append(found.end())
    return [*zip(starts, [*starts[1:], len(text)], strict=True)]


def sentences_of(spans: list[tuple[int, int]], start: int, end: int) -> frozenset[int]:
    """Return the numbers of the sentences that the characters [start, end) touch."""
    return frozenset(
        number for number, (low, high) in enumerate(spans) if start < high and low < end
    )
