"""Find the unit that the offsets of a file count, if it is not the code point.

Annotation tools count UTF-16 code units or UTF-8 bytes, or positions in another form of the text:
with other line ends, with collapsed blanks, with HTML entities unescaped or escaped. One answer
never decides: a unit must fit all answers of a file together, or else all of a passage
(`_Fit.is_sure` has the rule). Then all answers are converted, even those that happen to be at their
wrong offset.
"""

import html
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

from retune.tasks.qa.download.aligning import is_aligned
from retune.tasks.qa.download.rewriting import Chain, Step, replacing
from retune.tasks.qa.download.spellings import BLANKS, ENTITY
from retune.tasks.qa.questions.examples import Answer

#: A unit needs at least so many different answers, with so many characters together.
_ANSWERS, _CHARACTERS = 2, 4
#: Of the answers that a unit moves, at most this share may fit no unit.
_UNRELATED = 0.1


def _escaping(others: Mapping[str, str]) -> Step:
    def escape(found: str) -> str:
        return others.get(found) or html.escape(found, quote=False)

    return replacing(f"[&<>{''.join(others)}]", escape)


_STEPS: dict[str, Step] = {
    "CR LF counted as one": replacing(r"\r\n", lambda _: "\n"),
    "line feeds counted as two": replacing(r"(?<!\r)\n", lambda _: "\r\n"),
    "leading blanks left out": replacing(r"\A\s+", lambda _: ""),
    "blanks collapsed": replacing(BLANKS, lambda _: " "),
    "HTML entities unescaped": replacing(ENTITY, html.unescape),
    "& < > escaped as HTML entities": _escaping({}),
    '& < > " escaped as HTML entities': _escaping({'"': "&quot;"}),
    "& < > \" ' escaped as HTML entities": _escaping({'"': "&quot;", "'": "&#39;"}),
    "& < > \" ' escaped as HTML entities, &#x27;": _escaping({'"': "&quot;", "'": "&#x27;"}),
}
_LF, _CRLF, _LEADING, _COLLAPSED, _UNESCAPED, *_ESCAPED = _STEPS
#: Forms of a text in which positions are counted, as the steps that make them, simplest first.
_FORMS: list[tuple[str, ...]] = [
    *((), (_LF,), (_CRLF,), (_LEADING,), (_COLLAPSED,), (_LEADING, _COLLAPSED), (_UNESCAPED,)),
    *((_UNESCAPED, _LF), (_UNESCAPED, _COLLAPSED), (_UNESCAPED, _LEADING, _COLLAPSED)),
    *((name,) for name in _ESCAPED),
]


_POINTS, _FROM_ONE = "code points", "code points counted from 1"
_UTF_16, _UTF_8 = "UTF-16 code units", "UTF-8 bytes"
_ENCODINGS = {_UTF_16: ("utf-16-le", 2), _UTF_8: ("utf-8", 1)}


class Unit(NamedTuple):
    """What offsets count, and how the text is changed before."""

    counted: str
    form: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.counted} with {' and '.join(self.form)}" if self.form else self.counted


class Spot(NamedTuple):
    """An answer as in its file, and the context that it should be in."""

    context: str
    answer: Answer


#: The spots of each context, by their numbers.
_Passages = Mapping[str, Mapping[int, Spot]]


@dataclass(frozen=True, slots=True)
class Conversion:
    """A unit other than the code point, and the answers that it moves.

    `moved` has the number of each spot that changes, with its new answer. Of all `answers`, `fits`
    fit the unit and `alone` fit code points. `passages` is the number of passages, or 0 if the unit
    is that of the whole file.
    """

    unit: Unit
    moved: dict[int, Answer]
    fits: int
    answers: int
    alone: int
    passages: int

    def __str__(self) -> str:
        few = f" in {self.passages:,} passage{'s'[: self.passages > 1]}" if self.passages else ""
        return (
            f"offsets{few} are {self.unit}: {self.fits:,} of {self.answers:,} answers fit, "
            f"{self.alone:,} as code points"
        )


def conversions(spots: Sequence[Spot]) -> list[Conversion]:
    """Find the units that explain the misaligned answers of one file.

    There may be one for the whole file, and others for single passages.
    """
    if all(is_aligned(*spot) for spot in spots):
        return []
    passages: dict[str, dict[int, Spot]] = {}
    for number, spot in enumerate(spots):
        passages.setdefault(spot.context, {})[number] = spot
    whole = _best(passages)
    if whole is None:
        return _of_passages(passages)
    others = {c: part for c, part in passages.items() if whole.places.keys().isdisjoint(part)}
    return [_conversion([whole], passages=0), *_of_passages(others)]


def _of_passages(passages: _Passages) -> list[Conversion]:
    found, rest = [], {}
    for context, spots in passages.items():
        if not all(is_aligned(*spot) for spot in spots.values()):
            if fit := _best({context: spots}):
                found.append(fit)
            else:
                rest[context] = spots
    # One answer is enough for a unit that other passages use.
    if known := {fit.unit for fit in found}:
        found += [fit for one in rest.items() if (fit := _best(dict([one]), known))]
    found.sort(key=lambda fit: fit.unit)
    by_unit = [list(fits) for _, fits in groupby(found, key=lambda fit: fit.unit)]
    return [_conversion(fits, passages=len(fits)) for fits in by_unit]


def _conversion(fits: Sequence["_Fit"], passages: int) -> Conversion:
    spots = {n: spot for fit in fits for part in fit.passages.values() for n, spot in part.items()}
    places = {n: answer for fit in fits for n, answer in fit.places.items()}
    return Conversion(
        fits[0].unit,
        {number: answer for number, answer in places.items() if answer != spots[number].answer},
        sum(fit.total for fit in fits),
        len(spots),
        sum(is_aligned(*spot) for spot in spots.values()),
        passages,
    )


class _Form:
    """A context in one form, in which each unit can be counted."""

    def __init__(self, context: str, form: tuple[str, ...]) -> None:
        self._steps = [_STEPS[name] for name in form]
        self._context = context
        self._chain = Chain(context, self._steps)
        self._encoded: dict[str, bytes] = {}

    def is_plain(self, counted: str) -> bool:
        """Whether positions here are the same as code points of the context."""
        if self._chain.text != self._context or counted == _FROM_ONE:
            return False
        return (
            counted == _POINTS
            or self._context.isascii()
            or (counted == _UTF_16 and max(self._context, default="") <= "\uffff")
        )

    def place(self, counted: str, start: int) -> tuple[int, int] | None:
        """The offset of the character at `start`, in this form and in the context."""
        index = self._index(counted, start)
        place = None if index is None else self._chain.place(index)
        return None if index is None or place is None else (index, place)

    def answer(self, index: int, start: int, text: str) -> Answer | None:
        """The context's own text of an answer at a place, or None if the text there is another."""
        wanted = Chain(text, self._steps).text
        is_there = wanted and self._chain.text.startswith(wanted, index)
        if is_there and (span := self._chain.span(index, index + len(wanted))):
            return Answer(self._context[slice(*span)], span[0])
        return Answer(text, start) if self._context.startswith(text, start) else None

    def _index(self, counted: str, start: int) -> int | None:
        if counted not in _ENCODINGS or self._chain.text.isascii():
            return start - (counted == _FROM_ONE)
        encoding, width = _ENCODINGS[counted]
        if encoding not in self._encoded:
            self._encoded[encoding] = self._chain.text.encode(encoding, "replace")
        data = self._encoded[encoding]
        if not 0 <= start * width <= len(data):
            return None
        try:
            return len(data[: start * width].decode(encoding))
        except UnicodeDecodeError:  # inside a character
            return None


@dataclass(slots=True)
class _Fit:
    """How well a unit fits the answers of some passages.

    Attributes:
        unit: what offsets may count.
        passages: the spots of each context.
        places: the new answers of contexts for which the unit makes a difference.
        fitting: those that fit the unit.
        witnesses: those that fit no other unit.
        moved: how many offsets change.
        lost: how many of these do not fit.
        against: whether an answer fits code points and not the unit.
    """

    unit: Unit
    passages: _Passages
    places: dict[int, Answer] = field(default_factory=dict)
    fitting: dict[int, Answer] = field(default_factory=dict)
    witnesses: set[Answer] = field(default_factory=set)
    moved: int = 0
    lost: int = 0
    against: bool = False

    def add(self, form: _Form, spots: Mapping[int, Spot]) -> None:
        """Add the answers of one context."""
        if not form.is_plain(self.unit.counted):
            for number, spot in spots.items():
                self._add(form, number, spot.answer, is_aligned(*spot))

    def _add(self, form: _Form, number: int, answer: Answer, aligned: bool) -> None:
        there = form.place(self.unit.counted, answer.start)
        found = form.answer(*there, answer.text) if there else None
        moves = there is None or there[1] != answer.start
        self.places[number] = found or (Answer(answer.text, there[1]) if there else answer)
        self.moved += moves
        if found is None:
            self.against |= aligned
            self.lost += moves
            return
        self.fitting[number] = found
        if moves and not aligned:
            self.witnesses.add(answer)

    def is_sure(self, known: bool) -> bool:
        """Whether these answers count in this unit.

        No answer may contradict it. Two different answers, or one if the unit is `known` from other
        passages, must be misaligned but be where the unit says; so must nine in ten of the answers
        that it moves.
        """
        size = sum(len(answer.text) for answer in self.witnesses)
        spoken = len(self.witnesses) >= (1 if known else _ANSWERS) and size >= _CHARACTERS
        return not self.against and spoken and self.lost <= _UNRELATED * self.moved

    @property
    def total(self) -> int:
        """How many answers fit, with those that the unit makes no difference to."""
        others = (s for spots in self.passages.values() for s in spots.items())
        plain = sum(is_aligned(*spot) for number, spot in others if number not in self.places)
        return len(self.fitting) + plain


def _best(passages: _Passages, known: Container[Unit] | None = None) -> _Fit | None:
    """The unit that fits most answers of the passages; None if none does, or two disagree.

    With `known` it is one of these.
    """
    fits = [fit for form in _FORMS for fit in _fits(passages, form) if fit.is_sure(bool(known))]
    if known is not None:
        fits = [fit for fit in fits if fit.unit in known]
    totals = [fit.total for fit in fits]
    best = [fit for fit, total in zip(fits, totals, strict=True) if total == max(totals)]
    return best[0] if best and all(fit.fitting == best[0].fitting for fit in best) else None


def _fits(passages: _Passages, form: tuple[str, ...]) -> list[_Fit]:
    """How the units of one form fit, without those that an answer contradicts."""
    counted = [_POINTS if form else _FROM_ONE, *_ENCODINGS]
    fits = [_Fit(Unit(name, form), passages) for name in counted]
    for context, spots in passages.items():
        if not fits:
            break
        written = _Form(context, form)
        for fit in fits:
            fit.add(written, spots)
        fits = [fit for fit in fits if not fit.against]
    return fits
