"""Charts as inline SVG: no script, colours from the page's style, text for screen readers.

Lines differ in dashes, too, so that they are told apart without colours and on paper.
"""

import math
from collections.abc import Iterator, Sequence
from xml.etree import ElementTree as ET

from retune.tools.report.content import Bar, Bars, Form, Lines, Matrix, shown

COLOURS = 8  # of series in the page's style; then they come again, with other dashes
_WIDTH, _HEIGHT = 640, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 14, 10, 40
_TICKS = 5
_LEAST_SPAN = 1e-9  # by the size of the values; ticks of a lesser one would fall together
_MOST_POINTS = 400  # of a line that is drawn
_BAR = 30
_CELL_WIDTH, _CELL_HEIGHT = 110, 44
_LETTER = 6.6  # width of a letter in a chart, about


class Axis:
    """The scale of one axis: its ticks, and positions of values."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        low, high = (min(values), max(values)) if values else (0.0, 1.0)
        if high - low < _LEAST_SPAN * max(1.0, abs(low)):
            room = max(0.5, abs(low) / 2)
            low, high = low - room, high + room
        step = _step((high - low) / _TICKS)
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        self.ticks = [round(n * step, 12) for n in range(first, last + 1)]
        self.digits = max(0, -math.floor(math.log10(step) + 1e-9))
        self._low, self._span = self.ticks[0], self.ticks[-1] - self.ticks[0]
        self._start, self._end = start, end

    def at(self, value: float) -> float:
        """Return the position of `value`."""
        return self._start + (value - self._low) / self._span * (self._end - self._start)

    def told(self, tick: float) -> str:
        """Return a tick's label."""
        return f"{tick:.2g}" if self.digits > 5 else f"{tick:,.{self.digits}f}"


def lines(chart: Lines) -> str:
    """Draw a line chart."""
    points = [point for line in chart.lines for point in line.points]
    x = Axis([point[0] for point in points], _LEFT, _WIDTH - _RIGHT)
    y = Axis([point[1] for point in points], _HEIGHT - _BOTTOM, _TOP)
    top = _drawing(_WIDTH, _HEIGHT, chart.title, _told(chart))
    _grid(top, x, y, chart.x_label)
    if chart.diagonal:
        low = max(x.ticks[0], y.ticks[0])
        high = min(x.ticks[-1], y.ticks[-1])
        _add(top, "line", "diagonal", x1=x.at(low), y1=y.at(low), x2=x.at(high), y2=y.at(high))
    places = {group: place for place, group in enumerate(chart.groups)}
    for line in chart.lines:
        drawn = _thinned(line.points)
        place = places[line.group]
        if len(drawn) == 1:
            (a, b) = drawn[0]
            _add(top, "circle", f"dot {style_of(place)}", cx=x.at(a), cy=y.at(b), r=3.0)
        path = " ".join(f"{_short(x.at(a))},{_short(y.at(b))}" for a, b in drawn)
        _add(top, "polyline", style_of(place), points=path)
    return _text(top)


def bars(chart: Bars) -> str:
    """Draw horizontal bars from 0, or dots, with their intervals."""
    reach = [value for bar in chart.bars for value in (bar.value, bar.low, bar.high)]
    ends = [0.0, chart.most, *reach]
    names = [shown(bar.name) for bar in chart.bars]
    left = 20 + _LETTER * max(map(len, names), default=0)
    height = _BAR * len(names) + _BOTTOM
    x = Axis([end for end in ends if end is not None], left, _WIDTH - _RIGHT)
    told = "; ".join(_described(bar, chart.form) for bar in chart.bars)
    top = _drawing(_WIDTH, height, chart.title, told)
    _x_ticks(top, x, 0, height - _BOTTOM, chart.x_label)
    for place, (bar, name) in enumerate(zip(chart.bars, names, strict=True)):
        y = place * _BAR + 6
        middle = y + (_BAR - 12) / 2
        if not chart.dots:
            begin, end = sorted((x.at(0.0), x.at(bar.value)))
            look = "bar baseline" if bar.baseline else "bar"
            _add(top, "rect", look, x=begin, y=y, width=end - begin, height=_BAR - 12)
        if bar.low is not None and bar.high is not None:
            _add(top, "line", "interval", x1=x.at(bar.low), x2=x.at(bar.high), y1=middle, y2=middle)
        if chart.dots:
            _add(top, "circle", "mean", cx=x.at(bar.value), cy=middle, r=5.0)
        _write(top, left - 8, y + 13, name, "end")
    return _text(top)


def _described(bar: Bar, form: Form) -> str:
    words = f"{bar.name} {shown(bar.value, form)}"
    return (
        words if bar.low is None else f"{words} ({shown(bar.low, form)} to {shown(bar.high, form)})"
    )


def matrix(chart: Matrix) -> str:
    """Draw counts in cells that are as dark as their share of the row."""
    names = [shown(name) for name in chart.names]
    left = 30 + _LETTER * max(map(len, names), default=0)
    width, height = left + _CELL_WIDTH * len(names) + 10, 50 + _CELL_HEIGHT * len(names)
    told = "; ".join(
        f"{chart.row_label} {row}, {chart.column_label} {column}: {count}"
        for row, counts in zip(names, chart.counts, strict=True)
        for column, count in zip(names, counts, strict=True)
    )
    top = _drawing(width, height, chart.title, told)
    _write(top, left + _CELL_WIDTH * len(names) / 2, 14, chart.column_label, "middle", "label")
    _write(top, 4, 34, chart.row_label, "start", "label")
    for place, (name, counts) in enumerate(zip(names, chart.counts, strict=True)):
        y = 44 + place * _CELL_HEIGHT
        _write(top, left + (place + 0.5) * _CELL_WIDTH, 34, name, "middle")
        _write(top, left - 8, y + _CELL_HEIGHT / 2 + 4, name, "end")
        for column, count in enumerate(counts):
            x, share = left + column * _CELL_WIDTH, count / (sum(counts) or 1)
            cell = {"width": _CELL_WIDTH - 2, "height": _CELL_HEIGHT - 2}
            _add(top, "rect", "cell", x=x, y=y, **{**cell, "fill-opacity": 0.1 + 0.75 * share})
            words = f"{count:,} ({share:.0%})"
            _write(top, x + _CELL_WIDTH / 2, y + _CELL_HEIGHT / 2 + 4, words, "middle", "count")
    return _text(top)


def style_of(place: int) -> str:
    """Return the CSS classes for the colour and dashes of a series."""
    return f"series c{place % COLOURS} d{(place // COLOURS + place) % 4}"


def swatch(place: int) -> str:
    """Return a series' line for the legend."""
    top = ET.Element("svg", {"class": "swatch", "viewBox": "0 0 30 10", "aria-hidden": "true"})
    _add(top, "line", style_of(place), x1=0, y1=5, x2=30, y2=5)
    return _text(top)


def ends(chart: Lines) -> Iterator[tuple[str, int, float, float, float, float]]:
    """Describe each line with points: name, first, last, least and greatest y."""
    for line in chart.lines:
        ys = [y for _, y in line.points]
        if ys:
            yield line.group, len(ys), ys[0], ys[-1], min(ys), max(ys)


def _told(chart: Lines) -> str:
    words = [
        f"{name}: {count} points from {shown(first)} to {shown(last)}"
        for name, count, first, last, _, _ in ends(chart)
    ]
    return f"{chart.y_label or 'values'} over {chart.x_label}. " + "; ".join(words)


def _grid(top: ET.Element, x: Axis, y: Axis, label: str) -> None:
    for tick in y.ticks:
        place = y.at(tick)
        _add(top, "line", "grid", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=place, y2=place)
        _write(top, _LEFT - 8, place + 4, y.told(tick), "end")
    _x_ticks(top, x, _TOP, _HEIGHT - _BOTTOM, label)


def _x_ticks(top: ET.Element, x: Axis, start: float, end: float, label: str) -> None:
    for tick in x.ticks:
        place = x.at(tick)
        _add(top, "line", "grid", x1=place, x2=place, y1=start, y2=end)
        _write(top, place, end + 16, x.told(tick), "middle")
    _write(top, (x.at(x.ticks[0]) + x.at(x.ticks[-1])) / 2, end + 34, label, "middle", "label")


def _drawing(width: float, height: float, title: str, told: str) -> ET.Element:
    box = f"0 0 {_short(width)} {_short(height)}"
    top = ET.Element("svg", {"class": "chart", "viewBox": box, "role": "img"})
    top.set("style", f"max-width: {_short(width)}px")
    # Screen readers read this as the image's name; not all of them read `desc`.
    top.set("aria-label", f"{shown(title)}. {shown(told)}")
    return top


def _add(top: ET.Element, tag: str, classes: str, **places: float | str) -> ET.Element:
    told = {k: v if isinstance(v, str) else _short(v) for k, v in places.items()}
    return ET.SubElement(top, tag, {"class": classes, **told})


def _write(
    top: ET.Element, x: float, y: float, words: str, anchor: str, classes: str = "tick"
) -> None:
    _add(top, "text", classes, x=x, y=y, **{"text-anchor": anchor}).text = shown(words)


def _text(top: ET.Element) -> str:
    # HTML has end tags for empty elements and no namespaces.
    return ET.tostring(top, encoding="unicode", method="html")


def _step(least: float) -> float:
    """Return the next number above `least` of the form 1, 2 or 5 times a power of ten."""
    scale = 10.0 ** math.floor(math.log10(least))
    return next(scale * n for n in (1, 2, 5, 10) if scale * n >= least * 0.999)


def _thinned(points: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    every = -(-len(points) // _MOST_POINTS)
    if every < 2:
        return points
    return [point for n, point in enumerate(points) if n % every == 0 or n == len(points) - 1]


def _short(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
