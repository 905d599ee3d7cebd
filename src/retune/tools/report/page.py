"""A report as self-contained HTML pages: no network, no font, readable without their script."""

import re
from base64 import b64encode
from collections.abc import Container
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from retune.tools.report import svg
from retune.tools.report.content import (
    Bars,
    Cell,
    Column,
    Form,
    Lines,
    Matrix,
    Part,
    Report,
    Token,
    shown,
)
from retune.tools.report.questions import codes, counts

if TYPE_CHECKING:
    from jinja2 import Environment

INDEX = "index.html"
_FOLDER = Path(__file__).parent
_TEXTS: tuple[Form, ...] = ("text", "code")
_SHADES = 10  # of tokens, by their probability
_BREAKS = str.maketrans({"\n": "↵", "\t": "⇥", "\r": "␍"})


def pages(report: Report, names: Container[str] | None = None) -> dict[str, str]:
    """Return the pages by file name: the index, and one for each pipeline, or each in `names`.

    All text is escaped; equal reports give equal bytes.
    """
    parts = {_file_of(part): part for part in report.parts if names is None or part.name in names}
    return {name: _page(report, part) for name, part in {INDEX: None, **parts}.items()}


def _page(report: Report, part: Part | None) -> str:
    script = (_FOLDER / "page.js").read_text(encoding="utf-8")
    # The page runs no other script than this one, whatever the texts in it are.
    script_sum = b64encode(sha256(script.encode()).digest()).decode()
    page = _environment().get_template("page.html")
    return page.render(report=report, part=part, script=script, script_sum=script_sum)


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "cell": _cell, "chart": _chart, "ends": _ends, "shown": shown, "swatch": svg.swatch,
        "is_text": _is_text, "shade": _shade, "piece": _piece,
        "codes": codes, "counted_errors": counts, "file_of": _file_of,
    }  # fmt: skip
    return environment


def _file_of(part: Part) -> str:
    """Return the name of a pipeline's page, which is no other page and needs no quoting."""
    name = re.sub(r"[^\w.-]", "_", part.name, flags=re.ASCII)
    return f"{name}_.html" if f"{name}.html" == INDEX else f"{name}.html"


def _cell(cell: Cell, column: Column | Bars) -> str:
    return shown(cell, column.form)


def _is_text(column: Column) -> bool:
    return column.form in _TEXTS


def _chart(chart: Lines | Bars | Matrix) -> str:
    match chart:
        case Lines():
            return svg.lines(chart)
        case Bars():
            return svg.bars(chart)
    return svg.matrix(chart)


def _ends(chart: Lines) -> list[tuple[str, ...]]:
    return [(name, *map(shown, figures)) for name, *figures in svg.ends(chart)]


def _shade(token: Token) -> int:
    return max(0, min(int(token.probability * _SHADES), _SHADES - 1))


def _piece(token: Token) -> str:
    """Return a token's text with line ends visible, because HTML shows them as spaces."""
    return shown(token.text.translate(_BREAKS))
