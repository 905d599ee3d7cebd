"""Colours that can be read, and text that stays text."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retune.tasks.language_model.generate.pieces import Piece
from retune.tasks.language_model.plots.coloured import (
    INK,
    LEVELS,
    Coloured,
    level,
    page,
    terminal,
    terminal_legend,
)
from retune.tasks.language_model.plots.coloured import shown as without_controls


class Reader(HTMLParser):
    """The text of a page's last paragraph, and the classes and titles of its spans."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.spans, self.tags = "", [], set()
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "p":
            self.text, self.spans = "", []
        elif tag == "span":
            self.spans.append(dict(attributes))

    def handle_data(self, data: str) -> None:
        self.text += data


def luminance(colour: str) -> float:
    """Of WCAG 2."""
    parts = [int(colour[first : first + 2], 16) / 255 for first in (1, 3, 5)]
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_every_colour_can_be_read_on_any_screen() -> None:
    assert all(contrast(INK, each.colour) >= 7 for each in LEVELS)
    assert len({each.colour for each in LEVELS}) == len(LEVELS) == 5


@pytest.mark.parametrize(
    ("probability", "number"),
    [(0.0, 0), (0.0999, 0), (0.1, 1), (0.3, 2), (0.6, 3), (0.89, 3), (0.9, 4), (1.0, 4)],
)
def test_levels_are_of_probabilities(probability: float, number: int) -> None:
    assert level(probability) == number


@given(st.text(st.characters(codec="utf-8"), max_size=20), st.floats(0, 1))
def test_text_is_no_markup(text: str, probability: float) -> None:
    shown = page("T", [Coloured("h", text, [Piece(text, [probability])])])
    read = Reader(shown)
    clean = without_controls(text)
    assert read.text.rstrip("\n") == f"{clean}{clean}".rstrip("\n")
    assert read.tags <= {"html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "span"}
    assert read.spans == [{"class": f"p{level(probability)}", "title": f"{probability:.1%}"}]


def test_a_page_escapes_and_has_a_legend() -> None:
    shown = page("A & B", [Coloured("1 < 2", '<b>"', [Piece("<script>", [0.05])])])
    assert "<script>" not in shown
    assert '&lt;b&gt;&quot;<span class="p0" title="5.0%">&lt;script&gt;</span>' in shown
    assert "<title>A &amp; B</title>" in shown
    assert "<h2>1 &lt; 2</h2>" in shown
    assert all(each.label in shown and f".p{n} " in shown for n, each in enumerate(LEVELS))
    assert "color-scheme: light dark" in shown


def test_a_terminal_is_not_steered() -> None:
    text = terminal("a\x1b[2J", [Piece("\x07\x9b1m\n\t", [0.5]), Piece("b", [0.95])])
    assert text.plain == "a␛[2J␇�1m\n\tb"
    assert [str(span.style) for span in text.spans] == [
        f"{INK} on {LEVELS[2].colour}", f"{INK} on {LEVELS[4].colour}",
    ]  # fmt: skip
    assert all(each.label in terminal_legend().plain for each in LEVELS)
    assert len(terminal_legend().plain) <= 80
