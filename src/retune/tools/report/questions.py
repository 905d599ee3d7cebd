"""Questions to look at one by one: each with its passage, in which the answers are marked."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import pairwise

from retune.tools.compare.flips import EQUAL

#: Kinds of marked text, by what covers it: the answer, a gold answer, or both.
GIVEN, GOLD, BOTH = "given", "gold", "both"
Span = tuple[int, int]


@dataclass(frozen=True)
class Piece:
    """A part of a passage; without a `kind` it is plain.

    Attributes:
        text: of the part; empty where a window begins or ends.
        kind: what it is marked as.
    """

    text: str
    kind: str = ""


@dataclass(frozen=True)
class Candidate:
    """An answer of the n-best list, and its probability among them, from 0 to 1."""

    text: str
    probability: float


@dataclass(frozen=True)
class Rival:
    """The answers of another system to a question, each once, and their mean F1 in percent."""

    answers: tuple[str, ...]
    f1: float


@dataclass(frozen=True)
class Shown:
    """A question with its passage and answer.

    Attributes:
        id: of the question.
        question: the text.
        passage: in pieces.
        answer: the text; "" for no answer.
        gold: the gold answers; none if there is no answer.
        error: the type of error; None if the answer equals a gold answer.
        f1: in percent.
        probability: of the answer among the n best.
        candidates: the n-best list.
        groups: names of the groups that it is in, in the order of the browser's groupings.
        rival: the answers of another system.
    """

    id: str
    question: str
    passage: tuple[Piece, ...]
    answer: str
    gold: tuple[str, ...]
    error: str | None
    f1: float
    probability: float
    candidates: tuple[Candidate, ...]
    groups: tuple[str, ...]
    rival: Rival | None = None

    @property
    def flip(self) -> str:
        """Whether the question is won or lost against the other system."""
        gained = 0.0 if self.rival is None else self.f1 - self.rival.f1
        rounding = 100 * EQUAL
        return "won" if gained > rounding else "lost" if gained < -rounding else ""

    @property
    def anchor(self) -> str:
        """The question's place in the page, to which a link can lead."""
        is_plain = re.fullmatch(r"[\w.-]{1,60}", self.id, re.ASCII)
        return f"q-{self.id if is_plain else sha256(self.id.encode()).hexdigest()[:12]}"


@dataclass(frozen=True)
class Browser:
    """Questions to filter and search.

    Attributes:
        title: of the browser.
        groupings: ways of grouping the questions, each with the names of its groups.
        errors: the types of error among the questions.
        questions: the ones that are shown, the worst first.
        total: how many there are in all.
        rival: the name of another system, whose answers stand beside.
    """

    title: str
    groupings: tuple[tuple[str, tuple[str, ...]], ...]
    errors: tuple[str, ...]
    questions: tuple[Shown, ...]
    total: int
    rival: str | None = None
    kind: str = field(init=False, default="browser")


def pieces(
    context: str, given: Span | None, gold: Sequence[Span], bounds: Sequence[int]
) -> Iterator[Piece]:
    """Yield a passage in pieces: plain text, marked text, and the bounds of windows.

    Args:
        context: the passage.
        given: place of the answer, in characters.
        gold: places of the gold answers.
        bounds: where a window begins or ends within the passage.
    """
    ends = {end for span in [*gold, *([given] if given else [])] for end in span}
    places = sorted({0, len(context), *ends, *bounds})
    for place, end in pairwise(places):
        if place and place in bounds:
            yield Piece("", "bound")
        is_given = given is not None and given[0] <= place < given[1]
        is_gold = any(low <= place < high for low, high in gold)
        kind = BOTH if is_given and is_gold else GIVEN if is_given else GOLD if is_gold else ""
        yield Piece(context[place:end].replace("\r\n", "\n").replace("\r", "\n"), kind)


def within(questions: Sequence[Shown], budget: int) -> tuple[Shown, ...]:
    """Return questions, the worst first, that take at most `budget` bytes of a page.

    Wrong answers come first: those with the lowest F1, and of these the most probable ones. Right
    answers follow, the least probable first.
    """
    taken, room = [], budget
    for each in sorted(questions, key=_rank):
        size = _size(each)
        if size <= room:
            taken.append(each)
            room -= size
    return tuple(taken)


def _rank(shown: Shown) -> tuple[bool, float, float, str]:
    if shown.error is None:
        return True, 0.0, shown.probability, shown.id
    return False, shown.f1, -shown.probability, shown.id


def _size(shown: Shown) -> int:
    """Return about how many bytes a question takes in the page."""
    texts = [shown.question, shown.answer, *shown.gold, *shown.groups]
    texts += [candidate.text for candidate in shown.candidates]
    texts += shown.rival.answers if shown.rival else ()
    texts += [piece.text for piece in shown.passage]
    return 1000 + 30 * len(shown.passage) + sum(len(text.encode()) for text in texts)


def codes(browser: Browser, shown: Shown) -> str:
    """Return the places of a question's groups, which the page's script filters by."""
    return " ".join(
        str(names.index(group))
        for (_, names), group in zip(browser.groupings, shown.groups, strict=True)
    )


def counts(browser: Browser) -> Mapping[str, int]:
    """Return how many of the shown questions have each type of error."""
    found = [shown.error for shown in browser.questions]
    return {error: found.count(error) for error in browser.errors}
