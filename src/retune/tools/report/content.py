"""What a report is made of: sections of tables, figures and remarks, the same for page and JSON."""

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

#: How the numbers of a column are told; the names stand in the JSON, too.
Form = Literal["text", "code", "count", "score", "bytes", "seconds", "number"]

_DIGITS = 4  # of a number of which nothing is known
#: Controls, which no reader shows and HTML forbids, and marks that would turn lines around.
_UNSHOWABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class Spread(NamedTuple):
    """A mean and half the width of its 95 % interval; None where too few runs are there."""

    mean: float
    half_width: float | None


class Told(NamedTuple):
    """A number with a form of its own, where a column holds figures of several kinds."""

    value: float
    form: Form


Cell = str | int | float | bool | None | Spread | Told


@dataclass(frozen=True)
class Column:
    """Heading of a column, and how its numbers are told."""

    heading: str
    form: Form = "text"


@dataclass(frozen=True)
class Remark:
    """A sentence: of the project's words on its figures, of what is missing, or of a fault."""

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
    """Points of a line; those of one `group` share their colour and their name in the legend."""

    group: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Lines:
    """A line chart; with `diagonal`, where y would equal x is drawn, too."""

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
    """A named value, and how far its interval reaches to each side."""

    name: str
    value: float
    half_width: float | None


@dataclass(frozen=True)
class Bars:
    """A chart of horizontal bars."""

    title: str
    x_label: str
    bars: tuple[Bar, ...]
    kind: str = field(init=False, default="bars")


@dataclass(frozen=True)
class Matrix:
    """Counts by row and column, as of labels and answers."""

    title: str
    row_label: str
    column_label: str
    names: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    kind: str = field(init=False, default="matrix")


@dataclass(frozen=True)
class Token:
    """A piece of text, and how probable a model found it, from 0 to 1."""

    text: str
    probability: float


@dataclass(frozen=True)
class Coloured:
    """A text whose tokens are coloured by their probability."""

    title: str
    prompt: str
    tokens: tuple[Token, ...]
    kind: str = field(init=False, default="coloured")


Block = Remark | Table | Lines | Bars | Matrix | Coloured


@dataclass(frozen=True)
class Section:
    """Blocks under a title; one that is `folded` waits on the screen for a click."""

    title: str
    blocks: tuple[Block, ...]
    folded: bool = False


@dataclass(frozen=True)
class Part:
    """All about one pipeline."""

    name: str
    about: str
    command: str
    sections: tuple[Section, ...]


@dataclass(frozen=True)
class Report:
    """Where the project stands, and each pipeline."""

    provenance: Section
    parts: tuple[Part, ...]

    @property
    def blocks(self) -> list[Block]:
        """All blocks of all sections."""
        sections = [self.provenance, *(s for part in self.parts for s in part.sections)]
        return [block for section in sections for block in section.blocks]

    def as_data(self) -> dict[str, Any]:
        """The report as JSON has it; a `Spread` is its mean and half width."""
        data: dict[str, Any] = _plain(dataclasses.asdict(self))
        return data


def section(title: str, blocks: Sequence[Block], *, folded: bool = False) -> list[Section]:
    """A section, or none where there is nothing in it."""
    return [Section(title, tuple(blocks), folded)] if blocks else []


def shown(cell: Cell, form: Form = "text") -> str:
    """A cell in words; what no page can show stands as U+FFFD."""
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
