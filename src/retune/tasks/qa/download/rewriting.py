"""Rewrite texts, and map places of the new text back to the original."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A text, and the places of its parts in the original.

    Parts are copied and replaced in turn; the first is copied. `seams` has the beginning of each
    part in `text`, `places` its beginning in the original.
    """

    text: str
    seams: list[int]
    places: list[int]

    def span(self, start: int, end: int) -> tuple[int, int] | None:
        """The original span of `text[start:end]`; None if it is empty or cuts a replacement."""
        begin = self.place(start)
        if begin is None or not start < end <= len(self.text):
            return None
        last = self._part(end - 1)
        if _is_copied(last):
            return begin, self.places[last] + end - self.seams[last]
        return (begin, self.places[last + 1]) if end == self.seams[last + 1] else None

    def place(self, start: int) -> int | None:
        """The original place of the character at `start`; None inside a replacement."""
        if not 0 <= start < len(self.text):
            return None
        part = self._part(start)
        if _is_copied(part):
            return self.places[part] + start - self.seams[part]
        return self.places[part] if start == self.seams[part] else None

    def _part(self, place: int) -> int:
        return bisect_right(self.seams, place) - 1


def _is_copied(part: int) -> bool:
    return part % 2 == 0


#: Rewrites a text.
Step = Callable[[str], Rewritten]


class Chain:
    """A text that several steps rewrite, one after the other.

    Attributes:
        text: the result of the last step.
    """

    def __init__(self, text: str, steps: Iterable[Step]) -> None:
        self.text = text
        self._links: list[Rewritten] = []
        for step in steps:
            self._links.append(step(self.text))
            self.text = self._links[-1].text

    def span(self, start: int, end: int) -> tuple[int, int] | None:
        """The original span of `text[start:end]`, or None; see `Rewritten.span`."""
        span: tuple[int, int] | None = (start, end)
        for link in reversed(self._links):
            span = span and link.span(*span)
        return span

    def place(self, start: int) -> int | None:
        """The original place of the character at `start`; see `Rewritten.place`."""
        place: int | None = start
        for link in reversed(self._links):
            place = None if place is None else link.place(place)
        return place


def replacing(pattern: str, replace: Callable[[str], str]) -> Step:
    """Return the step that replaces each match of `pattern`."""
    compiled = re.compile(pattern)
    return lambda text: _rewritten(text, compiled, replace)


def _rewritten(text: str, pattern: re.Pattern[str], replace: Callable[[str], str]) -> Rewritten:
    pieces: list[str] = []
    seams, places = [0], [0]
    size = done = 0
    for match in pattern.finditer(text):
        new = replace(match[0])
        if new == match[0]:
            continue
        start, end = match.span()
        pieces += [text[done:start], new]
        size += start - done
        seams += [size, size + len(new)]
        places += [start, end]
        size, done = size + len(new), end
    return Rewritten("".join([*pieces, text[done:]]), seams, places)
