"""Charts of any pipeline: the `plots` of its dvc.yaml, with DVC's templates.

`linear` (and any other one of points) is a line chart, `confusion` a matrix of counts,
`bar_horizontal` bars; `by_<column>`, one of ours, has a line for each value of that column. Plots
of one stage for several variants share a chart, and runs that differ only by their seed share a
colour. In a folder of learning curves, for which dvc.yaml has neither x nor y, each column is a
chart over the epochs.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from retune.core.errors import RetuneError, listed
from retune.tools.project.graph import Output
from retune.tools.report.content import Bar, Bars, Block, Line, Lines, Matrix, Section, section
from retune.tools.report.sources import Reader, Row, numbers

_TIMES = ("epoch", "step")  # of a learning curve, the better one first
#: Columns that are not drawn: the x axes, and a setting.
_UNDRAWN = {*_TIMES, "learning_rate"}
#: Templates of line charts; `curve`, one of ours, also marks the points.
_LINES = ("linear", "curve")
_TABLES = (".csv", ".json", ".tsv")


class Source(NamedTuple):
    """A table of points: its group, the output that contains it, and its path."""

    group: str
    output: Output
    path: str


def charts(reader: Reader, claimed: Sequence[str] = ()) -> list[Section]:
    """Return all charts except for files whose names are `claimed`."""
    plots = [plot for plot in reader.pipeline.plots if _base(plot.path) not in claimed]
    blocks = [*_of_declared(reader, claimed), *_of_files(reader, plots)]
    return section("Figures", [*blocks, *_of_folders(reader, plots, claimed)])


def _of_declared(reader: Reader, claimed: Sequence[str]) -> Iterator[Block]:
    for title, style in reader.pipeline.declared:
        files = {path: columns for path, columns in style["y"].items()}
        if not any(_base(path) in claimed for path in files):
            made = reader.guarded(lambda: _declared(reader, title, style, files))  # noqa: B023
            yield from made or ()


def _declared(
    reader: Reader, title: str, style: Mapping[str, Any], files: Mapping[str, Any]
) -> list[Block]:
    if not files:
        raise RetuneError(
            f"dvc.yaml: plots: {title}: `y` names no file; expected `y: {{file: column}}`"
        )
    names = _differing([*files])
    template, found, series = style.get("template", "linear"), list[Block](), list[Line]()
    for path, told in files.items():
        output = _owner(reader, path)
        rows = reader.rows(replace(output, path=path))
        if not rows:
            continue
        x = _of_file(style.get("x"), path)
        if template not in _LINES and not isinstance(told, list):
            source = Source(names[path], output, path)
            found += _by_template(title, {**style, "x": x, "y": told}, [(source, rows)])
            continue
        columns = told if isinstance(told, list) else [told or [*rows[0]][-1]]
        for column in columns:
            parts = [names[path]] if len(files) > 1 else []
            parts += [str(column)] if len(columns) > 1 or not parts else []
            series.append(line(" ".join(parts), path, rows, x, column))
    if series:
        label = str(style.get("x_label") or _of_file(style.get("x"), "") or "row")
        found.append(Lines(title, label, str(style.get("y_label") or ""), tuple(series)))
    return found


def _of_file(columns: Any, path: str) -> Any:
    """Return the column for a file; if columns differ by file and it has none, the first."""
    if not isinstance(columns, dict):
        return columns
    return columns.get(path, next(iter(columns.values()), None))


def _of_files(reader: Reader, plots: Sequence[Output]) -> Iterator[Block]:
    """Yield charts of files; files of one stage with one style share a chart."""
    groups: dict[str, list[Output]] = {}
    for plot in plots:
        if plot.path.endswith(_TABLES):
            key = repr((plot.stage, _base(plot.path), sorted(plot.style.items(), key=repr)))
            groups.setdefault(key, []).append(plot)
    for group in groups.values():
        sources = [(Source(_label(plot), plot, plot.path), reader.rows(plot)) for plot in group]
        there = [(source, rows) for source, rows in sources if rows]
        if there:
            style = group[0].style
            title = str(style.get("title") or PurePosixPath(group[0].path).stem)
            drawn = reader.shaped(group[0].path, lambda: _by_template(title, style, there))  # noqa: B023
            yield from drawn or ()


def _of_folders(reader: Reader, plots: Sequence[Output], claimed: Sequence[str]) -> Iterator[Block]:
    """Yield learning curves, except for files that a declared plot draws."""
    drawn = {path for _, style in reader.pipeline.declared for path in style["y"]}
    groups: dict[tuple[str, str], list[Source]] = {}
    for plot in plots:
        folder = reader.root / plot.path
        if plot.path.endswith(_TABLES):
            continue
        if not folder.is_dir():
            reader.missing.append(plot)
            continue
        for file in sorted(folder.rglob("*.csv")):
            path = file.relative_to(reader.root).as_posix()
            if file.name not in claimed:
                source = Source(_label(plot), plot, path)
                groups.setdefault((plot.stage, file.name), []).append(source)
    for (stage, name), sources in groups.items():
        if drawn.issuperset(source.path for source in sources):
            continue  # a declared figure of some seeds leaves out others
        yield from _curves(reader, f"{stage}: {name.removesuffix('.csv')}", sources)


def _curves(reader: Reader, title: str, sources: Sequence[Source]) -> Iterator[Block]:
    tables = [(source, reader.rows(replace(source.output, path=source.path))) for source in sources]
    there = [(source, rows) for source, rows in tables if rows]
    columns = dict.fromkeys(column for _, rows in there for column in rows[0])
    time = next((name for name in _TIMES if name in columns), None)
    for column in columns if time else ():
        if column in _UNDRAWN:
            continue
        drawn = [
            reader.guarded(lambda: line(s.group, s.path, rows, time, column))  # noqa: B023
            for s, rows in there
            if column in rows[0]
        ]
        lines = tuple(one for one in drawn if one)
        yield Lines(f"{title} {column}", str(time), column, lines)


def _by_template(
    title: str, style: Mapping[str, Any], there: Sequence[tuple[Source, list[Row]]]
) -> list[Block]:
    match style.get("template", "linear"):
        case "confusion" | "confusion_normalized":
            return [_matrix(title, style, source, rows) for source, rows in there]
        case "bar_horizontal" | "bar_horizontal_sorted":
            return [_bars(title, style, source, rows) for source, rows in there]
    x = style.get("x")
    y = style.get("y") or [*there[0][1][0]][-1]  # DVC's choice: the last column
    by = str(style.get("template", "")).partition("by_")[2]
    lines = [
        line(group, source.path, its, x, str(y))
        for source, rows in there
        for group, its in _grouped(source.group, rows, by)
    ]
    labels = (str(style.get("x_label") or x or "row"), str(style.get("y_label") or y))
    # A share against a probability: on the diagonal, the probability is right.
    return [Lines(title, *labels, tuple(lines), diagonal=x == "probability")]


def _grouped(group: str, rows: Sequence[Row], column: str) -> list[tuple[str, list[Row]]]:
    """Group the rows by their value of `column`, for the template `by_<column>`."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        told = counted(row[column], column) if column in row else ""
        groups.setdefault(" ".join(filter(None, (group, told))), []).append(row)
    return [*groups.items()]


def counted(value: object, noun: str) -> str:
    """Return a count with its noun, given in the plural; return other text as it is."""
    told = str(value)
    if not re.fullmatch(r"-?[0-9.]+", told):
        return told
    return f"{told} {noun.removesuffix('s') if told == '1' else noun}"


def line(group: str, path: str, rows: Sequence[Row], x: Any, y: Any) -> Line:
    """Return a line without the points that are not finite."""
    ys = numbers(path, rows, str(y))
    xs = numbers(path, rows, str(x)) if x else [float(n) for n in range(len(ys))]
    points = [pair for pair in zip(xs, ys, strict=True) if all(map(math.isfinite, pair))]
    return Line(group, tuple(points))


def _matrix(title: str, style: Mapping[str, Any], source: Source, rows: Sequence[Row]) -> Matrix:
    x, y = _column(source.path, rows, style.get("x")), _column(source.path, rows, style.get("y"))
    pairs = Counter((row[x], row[y]) for row in rows)
    names = tuple(sorted({name for pair in pairs for name in pair}))
    counts = tuple(tuple(pairs[one, other] for other in names) for one in names)
    whole = f"{title}: {source.group}" if source.group else title
    labels = (str(style.get("x_label") or x), str(style.get("y_label") or y))
    return Matrix(whole, *labels, names, counts)


def _bars(title: str, style: Mapping[str, Any], source: Source, rows: Sequence[Row]) -> Bars:
    x, y = _column(source.path, rows, style.get("x")), _column(source.path, rows, style.get("y"))
    width = f"{x.removesuffix('_mean')}_half_width"  # as retune's own tables call it
    lengths = numbers(source.path, rows, x)
    widths = numbers(source.path, rows, width) if width in rows[0] else [math.nan] * len(rows)
    bars = [
        Bar(row[y], length, length - half, length + half)
        if math.isfinite(half)
        else Bar(row[y], length)
        for row, length, half in zip(rows, lengths, widths, strict=True)
        if math.isfinite(length)
    ]
    return Bars(title, str(style.get("x_label") or x.replace("_", " ")), tuple(bars))


def _column(path: str, rows: Sequence[Row], name: Any) -> str:
    if str(name) not in rows[0]:
        raise RetuneError(
            f"{path}: no column `{name}`, which dvc.yaml draws; there are: {listed([*rows[0]])}"
        )
    return str(name)


def _owner(reader: Reader, path: str) -> Output:
    """Return the output that is a file or contains it."""
    for output in (*reader.pipeline.plots, *reader.pipeline.metrics):
        if path == output.path or path.startswith(f"{output.path}/"):
            return output
    raise RetuneError(f"{path}: dvc.yaml draws it, but no stage has it under `plots` or `metrics`")


def _label(output: Output) -> str:
    return " ".join(output.variant.values())


def _base(path: str) -> str:
    return PurePosixPath(path).name


def _differing(paths: Sequence[str]) -> dict[str, str]:
    """Return the parts of each path that differ from the other paths."""
    parts = {path: PurePosixPath(path).with_suffix("").parts for path in paths}
    common = set.intersection(*(set(each) for each in parts.values()))
    return {path: " ".join(p for p in each if p not in common) for path, each in parts.items()}
