"""Sentences, with the words that rules may change and the words that they must not.

A label depends on more than words of praise and blame: on negations and their scope, on words that
weaken, and on which side of a "but" a clause is. None of these may change.
"""

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass
from functools import cached_property

from retune.tasks.sentiment.augmenting._lexicon import Phrase

#: Words of the longest phrase that is looked for.
LONGEST = 8

#: A bracket as in the Penn Treebank; a separate clitic; a word; any other mark.
_TOKEN = re.compile(
    r"(?P<mark>-[lr][rcs]b-|['\u2019](?:s|re|ve|ll|d|m)\b)|(?P<word>\w+(?:['\u2019-]\w+)*)|[^\w\s]",
    re.IGNORECASE,
)
#: Marks that end the scope of a negation, as contrasts do; commas do not.
_STOPS = frozenset(".!?;:()[]-\u2013\u2014\u2026") | {"-lrb-", "-rrb-", "-lsb-", "-rsb-"}
_COMMA = ","
_CONTRASTS = frozenset(
    {"but", "yet", "however", "although", "though", "while", "whereas", "despite", "except"}
    | {"nevertheless", "still"}
)
#: Words that weaken or turn a judgement without being negations.
_MODIFIERS = frozenset(
    {"too", "less", "least", "little", "few", "only", "just", "merely", "almost", "nearly", "than"}
    | {"if", "unless", "until", "would", "could", "should", "might", "may", "must", "supposed"}
    | {"meant", "wish", "hope", "hoped", "expected", "once", "used"}
)


@dataclass(frozen=True, slots=True)
class Token:
    """A word or a mark of a sentence, with its place in the text."""

    text: str
    start: int
    end: int
    is_word: bool

    @property
    def key(self) -> str:
        """The form in which it is looked up."""
        return self.text.lower().replace("\u2019", "'")


class Sentence:
    """The tokens of a text, and which of them may be changed.

    Attributes:
        text: as it was given.
        tokens: its words and marks, in order.
        free: the numbers of words that are not negations, contrasts or modifiers, nor in the scope
            of a negation.
        clauses: by token, the number of its clause; marks and contrasts separate them.
    """

    def __init__(self, text: str, negations: Set[Phrase]) -> None:
        self.text = text
        self.tokens = [
            Token(match[0], match.start(), match.end(), match["word"] is not None)
            for match in _TOKEN.finditer(text)
        ]
        self.keys = [token.key for token in self.tokens]
        fixed = self._fixed(negations)
        self.free = [n for n, t in enumerate(self.tokens) if t.is_word and n not in fixed]

    @cached_property
    def clauses(self) -> list[int]:
        parts, number = [], 0
        for key in self.keys:
            number += key in _STOPS or key == _COMMA or key in _CONTRASTS
            parts.append(number)
        return parts

    def phrases(self, phrases: Mapping[Phrase, str]) -> list[tuple[int, int, str]]:
        """Yield start, end (exclusive) and entry of each run of free words that is a phrase.

        Phrases are found from left to right, longest first, and do not overlap.
        """
        found, free, start = [], set(self.free), 0
        while start < len(self.keys):
            length = self._longest(start, phrases.keys())
            end = start + max(length, 1)
            if length and free.issuperset(range(start, end)):
                found.append((start, end, phrases[tuple(self.keys[start:end])]))
            start = end
        return found

    def changed(self, replacements: Mapping[int, tuple[int, str]]) -> str:
        """Replace tokens, each run given by start, end (exclusive) and its new text.

        If the new text is empty, the white space before it is removed, too.
        """
        parts, at = [], 0
        for first, (end, new) in sorted(replacements.items()):
            before = self.text[at : self.tokens[first].start]
            parts += [before if new else before.rstrip(), new]
            at = self.tokens[end - 1].end
        return "".join(parts) + self.text[at:]

    def _fixed(self, negations: Set[Phrase]) -> set[int]:
        fixed: set[int] = set()
        in_scope, number = False, 0
        while number < len(self.keys):
            key = self.keys[number]
            if length := self._negation(number, negations):
                first = number - (0 if self._has_verb(number) else 1)
                fixed |= set(range(first, number + length))
                in_scope, number = True, number + length
                continue
            in_scope &= key not in _STOPS and key not in _CONTRASTS
            if in_scope or key in _CONTRASTS or key in _MODIFIERS:
                fixed.add(number)
            number += 1
        return fixed

    def _has_verb(self, number: int) -> bool:
        """Whether a negation contains its verb ("wasn't"), unlike "not" in "was not"."""
        return self.keys[number].endswith("n't") and self.keys[number] != "n't"

    def _negation(self, number: int, negations: Set[Phrase]) -> int:
        if self.keys[number].endswith("n't"):
            return 1
        return self._longest(number, negations)

    def _longest(self, start: int, phrases: Set[Phrase]) -> int:
        """The length of the longest phrase that begins at `start`; 0 if there is none."""
        lengths = range(min(LONGEST, len(self.keys) - start), 0, -1)
        return next((n for n in lengths if tuple(self.keys[start : start + n]) in phrases), 0)
