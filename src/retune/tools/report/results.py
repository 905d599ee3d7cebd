"""Tables of any pipeline's metrics: figures by variant, and the lists in metrics files.

A metrics file is JSON, nested under its task. A named number is a figure. A list of objects is a
table of its own, except `spread`, which has the spread of a figure over the seeds, and `details`,
which may contain costs.
"""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from retune.core.errors import listed
from retune.stats.seed_spread import Variant, interval_half_width, warnings
from retune.tasks.task import Figure, costs, figures, main_task
from retune.tools.project.graph import SEED, Output
from retune.tools.report.content import (
    IN_SHORT,
    Block,
    Cell,
    Column,
    Form,
    Remark,
    Section,
    Spread,
    Table,
    Told,
    section,
    shown,
)
from retune.tools.report.sources import Reader

_MOST_ROWS = 200  # of a list that is shown; longer ones stay in their file
_SPREAD = "spread"
Key = tuple[str, ...]


class Metrics(NamedTuple):
    """A metrics file and its content."""

    output: Output
    value: Any


class Figures(NamedTuple):
    """The figures in a metrics file, by name."""

    scalars: dict[str, float]
    half_widths: dict[str, float]


def read_metrics(reader: Reader) -> list[Metrics]:
    """Return the metrics files of the pipeline that can be read."""
    read = [Metrics(output, reader.json(output)) for output in reader.pipeline.metrics]
    return [metrics for metrics in read if metrics.value is not None]


def results(found: Sequence[Metrics]) -> list[Section]:
    """Return a table of figures for each set of axes that variants differ in."""
    by_axes: dict[Key, list[Metrics]] = {}
    for metrics in found:
        by_axes.setdefault(tuple(metrics.output.variant), []).append(metrics)
    blocks: list[Block] = []
    for axes, group in by_axes.items():
        if axes:
            blocks += [*_by_variant(axes, group), *map(Remark, _noise(group))]
    single = _by_stage(by_axes.get((), ()))
    return section("Results", [*blocks, single] if single.rows else blocks)


def in_short(found: Sequence[Metrics]) -> list[Section]:
    """Return the best and the worst variant by the main figure of each set of axes."""
    groups: dict[Key, list[Metrics]] = {}
    for metrics in found:
        if metrics.output.variant:
            groups.setdefault(tuple(metrics.output.variant), []).append(metrics)
    remarks = [_best(axes, cells_by_variant(group)) for axes, group in groups.items()]
    return section(IN_SHORT, [remark for remark in remarks if remark])


def _best(axes: Key, runs: Mapping[Key, Mapping[str, Cell]]) -> Remark | None:
    """Describe the range of the main figure that variants are compared by.

    It is the one that the main pipeline ranks by, or of other tasks the first one.
    """
    main = main_task()
    names = [name for row in runs.values() for name in row]
    is_main = all(figure.name in names for figure in main.compared)
    chosen = [figures()[main.ranking]] if is_main else figures().values()
    for figure in chosen:
        values = {key: row[figure.name] for key, row in runs.items() if figure.name in row}
        if figure.compared and len(values) > 1:
            ordered = sorted(values, key=lambda key: _mean(values[key]))
            first, last = ordered[:: -1 if figure.compared == "higher" else 1][:: len(ordered) - 1]
            ends = [f"{' '.join(key)} {shown(values[key], figure.unit)}" for key in (first, last)]
            what = f"{figure.label} of {len(values)} variants, by {' and '.join(axes)}"
            return Remark(f"{what}: from {ends[0]} (best) to {ends[1]}")
    return None


def _mean(cell: Cell) -> float:
    value = cell.mean if isinstance(cell, Spread) else cell
    return float(value) if isinstance(value, int | float) else 0.0


def lists(found: Sequence[Metrics], claimed: Sequence[str] = ()) -> list[Section]:
    """Return a table for every list of objects in the metrics whose name is not `claimed`."""
    tables: dict[tuple[str, str], list[tuple[Output, Mapping[str, Any]]]] = {}
    for metrics in found:
        for name, rows in _lists(metrics.value):
            if name not in (*claimed, _SPREAD):
                told = tables.setdefault((metrics.output.stage, name), [])
                told += [(metrics.output, row) for row in rows]
    made = [list_table(f"{stage}: {name}", rows) for (stage, name), rows in tables.items()]
    return section("Details of the metrics", made, folded=True)


def declared(name: str) -> Figure:
    """Return the figure that a task declares by this name, or one without a heading."""
    return figures().get(name) or costs().get(name) or Figure(name)


def heading(name: str) -> str:
    """Return the heading of a figure's column."""
    return declared(name).label


def form(name: str) -> Form:
    """Return the form of a figure's numbers."""
    return declared(name).unit


def figures_in(value: Any) -> Figures:
    """Return a file's figures by the last part of their name; the outermost one counts."""
    scalars: dict[str, float] = {}
    half_widths: dict[str, float] = {}
    for name, number in sorted(_scalars(value), key=lambda pair: pair[0].count(".")):
        last = name.rpartition(".")[2]
        if "[" not in name or declared(last).heading:
            scalars.setdefault(last, number)
    for name, rows in _lists(value):
        for row in rows if name == _SPREAD else ():
            if isinstance(row.get("half_width"), int | float):
                half_widths[str(row.get("score"))] = float(row["half_width"])
    return Figures(scalars, half_widths)


def _by_variant(axes: Key, found: Sequence[Metrics]) -> list[Table]:
    """Return a table of scores and a table of costs with a row for each variant."""
    runs = cells_by_variant(found)
    names = _ordered(name for row in runs.values() for name in row)
    seeds = {m.output.item[SEED] for m in found if SEED in m.output.item}
    told_ = f"; ± is half of the 95 % interval over {len(seeds)} seeds" if seeds else ""
    by = f"by {' and '.join(axes)}{told_}"
    scores, prices = ([n for n in names if (n in costs()) is cost] for cost in (False, True))
    columns = [Column(axis, "code") for axis in axes]
    return [
        Table(
            f"{what} {by}",
            (*columns, *(Column(heading(name), form(name)) for name in chosen)),
            tuple((*key, *(row.get(name) for name in chosen)) for key, row in runs.items()),
        )
        for what, chosen in (("Figures", scores), ("Costs", prices))
        if chosen
    ]


def variant_of(metrics: Metrics) -> Key:
    """Return the variant of a metrics file: its value on each axis."""
    return tuple(metrics.output.variant.values())


def cells_by_variant(
    found: Sequence[Metrics], variant: Callable[[Metrics], Key] = variant_of
) -> dict[Key, dict[str, Cell]]:
    """Return the figures of each variant by name; with several seeds, mean and interval."""
    runs: dict[Key, dict[str, list[float]]] = {}
    widths: dict[tuple[Key, str], float] = {}
    for metrics in found:
        key = variant(metrics)
        row, told = runs.setdefault(key, {}), figures_in(metrics.value)
        for name, number in told.scalars.items():
            row.setdefault(name, []).append(number)
        widths |= {(key, name): width for name, width in told.half_widths.items()}
    return {
        key: {name: _folded(values, widths.get((key, name))) for name, values in row.items()}
        for key, row in runs.items()
    }


def rows(value: Any) -> list[dict[str, Any]]:
    """Return the objects in all lists of a metrics file."""
    return [row for _, found in _lists(value) for row in found]


def _noise(found: Sequence[Metrics]) -> list[str]:
    """Return warnings on scores of one run each; runs of several seeds have intervals."""
    headings = {name: figure.label for name, figure in figures().items() if _is_score(figure)}
    variants: dict[str, dict[str, dict[int, float]]] = {}
    for output, value in found:
        scalars, half_widths = figures_in(value)
        if half_widths or SEED in output.item:
            return []
        name = " ".join(output.variant.values())
        scores = {key: {0: scalars[key]} for key in headings if key in scalars}
        variants.setdefault(name, {}).update(scores)
    told = [Variant(name, name, values) for name, values in variants.items()]
    return warnings(told, headings)


def _is_score(figure: Figure) -> bool:
    """Return whether a figure is in percent and higher is better."""
    return figure.unit == "score" and figure.compared == "higher"


def _by_stage(found: Sequence[Metrics]) -> Table:
    """Return a table with a row for each figure of single stages, scores before costs."""
    rows: dict[tuple[str, str], float] = {}
    for metrics in found:
        for name, number in figures_in(metrics.value).scalars.items():
            rows[metrics.output.stage, name] = number
    columns = (Column("stage", "code"), Column("figure"), Column("value", "number"))
    return Table(
        "Figures by stage",
        columns,
        tuple(
            (stage, heading(name), Told(n, form(name)))
            for (stage, name), n in sorted(rows.items(), key=lambda row: row[0][1] in costs())
        ),
    )


def _folded(values: Sequence[float], half_width: float | None) -> Cell:
    """Return a single value, or the mean of several with its interval."""
    if not values:
        return None
    if len(values) == 1:
        return values[0] if half_width is None else Spread(values[0], half_width)
    if len(set(values)) == 1:  # as the size of a model, which no seed changes
        return values[0]
    return Spread(statistics.fmean(values), interval_half_width(values))


def _ordered(names: Iterator[str]) -> list[str]:
    order = [name for name, figure in (*figures().items(), *costs().items()) if figure.heading]
    places = {name: place for place, name in enumerate(order)}
    return sorted(set(names), key=lambda name: (places.get(name, len(places)), name))


def list_table(caption: str, rows: Sequence[tuple[Output, Mapping[str, Any]]]) -> Block:
    """Return a table with a row for each object, or a remark if there are too many."""
    if len(rows) > _MOST_ROWS:
        files = listed(list(dict.fromkeys(output.path for output, _ in rows)), 3)
        return Remark(f"{caption}: {len(rows):,} rows are too many for a page; see {files}.")
    rows = [(output, row) for output, row in rows if any(map(_is_plain, row.values()))]
    plain = [{k: v for k, v in row.items() if _is_plain(v)} for _, row in rows]
    names = list(dict.fromkeys(name for row in plain for name in row))
    axes = list(dict.fromkeys(axis for output, _ in rows for axis in output.item))
    texts = {n for n in names if any(isinstance(row.get(n), str) for _, row in rows)}
    ordered = sorted(names, key=lambda name: name not in texts)
    columns = [Column(axis, "code") for axis in axes]
    columns += [Column(heading(n), "text" if n in texts else form(n)) for n in ordered]
    cells = [
        (*(output.item.get(axis) for axis in axes), *(row.get(name) for name in ordered))
        for (output, _), row in zip(rows, plain, strict=True)
    ]
    return Table(caption, tuple(columns), tuple(cells))


def _is_plain(value: Any) -> bool:
    return not isinstance(value, dict | list)


def _scalars(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """Yield the dotted name of each number; `[]` stands for the only element of a list."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _scalars(item, f"{name}.{key}")
    elif isinstance(value, list) and len(value) == 1:
        yield from _scalars(value[0], f"{name}.[]")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield name, value


def _lists(value: Any, name: str = "") -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield name and rows of each list of objects outside other lists."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _lists(item, str(key))
    elif isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        yield name, value
