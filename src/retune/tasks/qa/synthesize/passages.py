"""Passages to make questions from, without those that share text with scored questions."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from retune.ingest.dedup_key import dedup_key
from retune.tasks.qa.analyse.sentences import sentence_spans

#: Two texts that have so many words side by side in common share a source.
SHARED_WORDS = 10


class Passage(NamedTuple):
    """A text to make questions about, and the title of its article or the name of its file."""

    text: str
    title: str


def cut(text: str, words: int) -> Iterator[str]:
    """Yield the passages of a plain text: whole sentences of one paragraph or of several.

    A passage ends with the first sentence by which it has `words` words, or with a paragraph by
    which it has half as many. Paragraphs are separated by blank lines.
    """
    start, count = 0, 0
    for low, high in sentence_spans(text):
        sentence = text[low:high]
        count += len(sentence.split())
        ends_paragraph = sentence[len(sentence.rstrip()) :].count("\n") > 1
        if count >= words or (ends_paragraph and 2 * count >= words):
            yield text[start:high].strip()
            start, count = high, 0
    if count:
        yield text[start:].strip()


class Withheld:
    """What passages must not share: the contexts of questions that are scored."""

    def __init__(self, contexts: Iterable[str]) -> None:
        self._contexts, self._runs = set[str](), set[tuple[str, ...]]()
        for context in contexts:
            self._contexts.add(dedup_key(context))
            self._runs.update(_runs(context))

    def shares(self, text: str) -> bool:
        """Return whether a text has `SHARED_WORDS` words in a row of a context, or is one."""
        return dedup_key(text) in self._contexts or any(run in self._runs for run in _runs(text))


def _runs(text: str) -> Iterator[tuple[str, ...]]:
    words = dedup_key(text).split()
    return (
        tuple(words[place : place + SHARED_WORDS]) for place in range(len(words) - SHARED_WORDS + 1)
    )
