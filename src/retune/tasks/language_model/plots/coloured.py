"""Text coloured by the probability of its pieces, for terminals and as HTML.

Colours are backgrounds of dark text, readable on light and dark screens. They range from red to
blue, which colour-blind readers can tell apart, too.
"""

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from retune.core.terminal_text import escaped
from retune.tasks.language_model.generate.pieces import Piece

if TYPE_CHECKING:
    from rich.text import Text


class Level(NamedTuple):
    """The probabilities below a bound, and not below the bound of the level before."""

    below: float
    colour: str
    label: str


#: What is not below 1 has the colour of the last one.
LEVELS = (
    Level(0.1, "#f49b8f", "below 10 %"),
    Level(0.3, "#fbc58a", "10 to 30 %"),
    Level(0.6, "#fdf0a8", "30 to 60 %"),
    Level(0.9, "#d3eaf5", "60 to 90 %"),
    Level(1.0, "#93c6e8", "from 90 %"),
)
INK = "#111111"
#: A control character could steer a terminal; HTML does not allow it. The symbols stand for them.
_CONTROLS = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"} | {
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
}
_STYLE = "\n".join(
    [
        ":root { color-scheme: light dark; }",
        "body { font-family: sans-serif; line-height: 1.7; max-width: 50em; margin: 2em auto; }",
        "p { white-space: pre-wrap; overflow-wrap: break-word; }",
        f"span {{ color: {INK}; padding: 0.1em 0; box-shadow: inset -1px 0 #0003; }}",
        *(f".p{number} {{ background: {each.colour}; }}" for number, each in enumerate(LEVELS)),
    ]
)


class Coloured(NamedTuple):
    """A continuation to show."""

    heading: str
    prompt: str
    pieces: Sequence[Piece]


def level(probability: float) -> int:
    """The number of the level of a probability."""
    bounds = (number for number, each in enumerate(LEVELS) if probability < each.below)
    return next(bounds, len(LEVELS) - 1)


def shown(text: str) -> str:
    """Escape what controls a terminal, except line feeds and tabs."""
    return text.translate(_CONTROLS)


def terminal(prompt: str, pieces: Sequence[Piece]) -> "Text":
    """A prompt without colours, and its continuation in colours."""
    from rich.text import Text

    text = Text(escaped(shown(prompt)))
    for piece in pieces:
        text.append(escaped(shown(piece.text)), _style(LEVELS[level(piece.probability)]))
    return text


def terminal_legend() -> "Text":
    """The legend of the colours."""
    from rich.text import Text

    text = Text("probability: ")
    for each in LEVELS:
        text.append(f" {each.label} ", _style(each)).append(" ")
    return text


def page(title: str, texts: Sequence[Coloured]) -> str:
    """A page of HTML with a legend; hover over a piece to see its probability."""
    legend = " ".join(
        f'<span class="p{number}">&nbsp;{each.label}&nbsp;</span>'
        for number, each in enumerate(LEVELS)
    )
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            f'<head><meta charset="utf-8"><title>{_escaped(title)}</title>',
            f"<style>\n{_STYLE}\n</style></head>",
            "<body>",
            f"<h1>{_escaped(title)}</h1>",
            f"<p>Probability of each token: {legend}</p>",
            *(_section(text) for text in texts),
            "</body>",
            "</html>",
            "",
        ]
    )


def _section(text: Coloured) -> str:
    spans = "".join(
        f'<span class="p{level(piece.probability)}" title="{piece.probability:.1%}">'
        f"{_escaped(piece.text)}</span>"
        for piece in text.pieces
    )
    return f"<h2>{_escaped(text.heading)}</h2>\n<p>{_escaped(text.prompt)}{spans}</p>"


def _style(each: Level) -> str:
    return f"{INK} on {each.colour}"


def _escaped(text: str) -> str:
    return html.escape(shown(text))
