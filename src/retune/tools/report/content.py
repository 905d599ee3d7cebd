"""The content of a report: sections of tables, charts and remarks, for both page and JSON."""

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from retune.tools.report.questions import Browser

#: How the numbers of a column are formatted; the JSON has these names, too.
Form = Literal["text", "code", "count", "score", "bytes", "seconds", "number"]

#: The title of the section that the index repeats.
IN_SHORT = "In short"
_DIGITS = 4  # of a number of unknown kind
#: Control characters, which HTML forbids, and marks that change the direction of text.
_UNSHOWABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class Spread(NamedTuple):
    """A mean and half the width of its 95 % interval, which is None for too few runs."""

    mean: float
    half_width: float | None


class Told(NamedTuple):
    """A number with its own form, in a column of figures of several kinds."""

    value: float
    form: Form


Cell = str | int | float | bool | None | Spread | Told


@dataclass(frozen=True)
class Column:
    """A column's heading and the form of its numbers."""

    heading: str
    form: Form = "text"


@dataclass(frozen=True)
class Remark:
    """A sentence about figures, about something missing, or about a fault."""

    text: str
    tone: Literal["plain", "missing", "fault"] = "plain"
    kind: str = field(init=False, default="remark")


@dataclass(frozen=True)
class Table:
    """Rows of cells under columns; the first cell of a row is its heading."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    kind: str = field(init=False, default="table")


@dataclass(frozen=True)
class Line:
    """A line; lines of one `group` share a colour and an entry in the legend."""

    group: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Lines:
    """A line chart, with `diagonal` including the line y = x."""

    title: str
    x_label: str
    y_label: str
    lines: tuple[Line, ...]
    diagonal: bool = False
    kind: str = field(init=False, default="lines")

    @property
    def groups(self) -> list[str]:
        """The names in the legend."""
        return list(dict.fromkeys(line.group for line in self.lines))


@dataclass(frozen=True)
class Bar:
    """A named value and its 95 % interval, if it has one.

    `baseline` draws it as an outline: it is there to be compared with.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    baseline: bool = False


@dataclass(frozen=True)
class Bars:
    """A chart of horizontal bars from 0, or of dots.

    Attributes:
        title: of the chart.
        x_label: of the values.
        bars: from top to bottom.
        dots: whether to draw dots, for values that are read by their distance from each other.
        most: where the axis ends, so that charts can be compared; without it, at the values.
        form: of the values.
    """

    title: str
    x_label: str
    bars: tuple[Bar, ...]
    dots: bool = False
    most: float | None = None
    form: Form = "score"
    kind: str = field(init=False, default="bars")


@dataclass(frozen=True)
class Matrix:
    """Counts by row and column, such as a confusion matrix."""

    title: str
    row_label: str
    column_label: str
    names: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    kind: str = field(init=False, default="matrix")


@dataclass(frozen=True)
class Token:
    """A piece of text and its probability under a model, from 0 to 1."""

    text: str
    probability: float


@dataclass(frozen=True)
class Coloured:
    """A text whose tokens are coloured by their probability."""

    title: str
    prompt: str
    tokens: tuple[Token, ...]
    kind: str = field(init=False, default="coloured")


Block = Remark | Table | Lines | Bars | Matrix | Coloured | Browser


@dataclass(frozen=True)
class Section:
    """Blocks under a title; the page shows a `folded` section only after a click."""

    title: str
    blocks: tuple[Block, ...]
    folded: bool = False


@dataclass(frozen=True)
class Part:
    """The part of a report on one pipeline."""

    name: str
    about: str
    command: str
    sections: tuple[Section, ...]

    @property
    def lead(self) -> tuple[Block, ...]:
        """What the index shows: the faults, and the section that sums up the others."""
        faults = [b for s in self.sections for b in s.blocks if isinstance(b, Remark)]
        shown_ = [block for s in self.sections if s.title == IN_SHORT for block in s.blocks]
        return (*(block for block in faults if block.tone == "fault"), *shown_)


@dataclass(frozen=True)
class Report:
    """The project's provenance, and a part for each pipeline."""

    provenance: Section
    parts: tuple[Part, ...]

    @property
    def blocks(self) -> list[Block]:
        """All blocks of all sections."""
        sections = [self.provenance, *(s for part in self.parts for s in part.sections)]
        return [block for section in sections for block in section.blocks]

    def as_data(self) -> dict[str, Any]:
        """Return the report as JSON values; a `Spread` becomes its mean and half width."""
        data: dict[str, Any] = _plain(dataclasses.asdict(self))
        return data


def section(title: str, blocks: Sequence[Block], *, folded: bool = False) -> list[Section]:
    """Return a section in a list, or an empty list if there are no blocks."""
    return [Section(title, tuple(blocks), folded)] if blocks else []


def shown(cell: Cell, form: Form = "text") -> str:
    """Return the text of a cell, with U+FFFD for characters that no page can show."""
    if isinstance(cell, Spread):
        mean = shown(cell.mean, form)
        return mean if cell.half_width is None else f"{mean} ± {shown(cell.half_width, form)}"
    if isinstance(cell, Told):
        return shown(cell.value, cell.form)
    if cell is None:
        return "-"
    if isinstance(cell, str):
        return _UNSHOWABLE.sub("\ufffd", cell)
    return str(cell).lower() if isinstance(cell, bool) else _number(cell, form)


def _number(value: float, form: Form) -> str:
    match form:
        case "count":
            return f"{value:,.0f}"
        case "score":
            return f"{value:.2f}"
        case "bytes":
            return f"{value / 1e6:,.1f} MB"
        case "seconds":
            return f"{value:,.1f} s"
    if isinstance(value, int) or value == 0:
        return f"{int(value):,}" if form == "number" else str(int(value))
    return f"{value:#,.{_DIGITS}g}" if abs(value) < 10**_DIGITS else f"{value:,.0f}"


def _plain(value: Any) -> Any:
    if isinstance(value, Spread | Told):
        return value._asdict()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
