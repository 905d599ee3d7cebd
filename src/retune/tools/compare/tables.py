"""The tables of a comparison, as columns and rows of plain values."""

import csv
import io
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import NamedTuple

from retune.core.terminal_text import escaped
from retune.stats.paired import Difference, Mean
from retune.stats.permutation import mcnemar_p_value
from retune.tables.terminal_tables import print_table
from retune.tasks.task import COSTS, Figure, main_task
from retune.tools.compare.clustering import NAMES
from retune.tools.compare.flips import Flip, by_kind
from retune.tools.compare.systems import DECISIVE, SCORES, Result

_RATE = main_task().rate
#: What is shown of the costs.
_FIGURES = [*COSTS, *([_RATE] if _RATE else [])]
_SHORT = {"model_bytes": "MB", "bundle_bytes": "MB"}
#: What points of F1 are divided by: heading, and how many of the figure are one unit.
_PAID = {
    "parameters": ("F1/M", 1e6),
    "model_bytes": ("F1/MB", 1e6),
    "bundle_bytes": ("F1/MB", 1e6),
    "train_seconds": ("F1/min", 60.0),
}
_ANSWERS = ["won", "lost", "McNemar p, unclustered"]


class Table(NamedTuple):
    """A table.

    Attributes:
        texts: headings of the columns with text, which come first.
        figures: headings of the columns with figures.
        rows: of cells.
    """

    texts: Sequence[str]
    figures: Sequence[str]
    rows: Sequence[Sequence[str]]

    def print(self) -> None:
        """Print it in 80 columns."""
        print_table(self.texts, self.figures, self.rows)

    def markdown(self) -> str:
        """Return it in Markdown."""
        lines = [[*self.texts, *self.figures]]
        lines.append(["---"] * len(self.texts) + ["--:"] * len(self.figures))
        lines += [[escaped(cell).replace("|", "\\|") for cell in row] for row in self.rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def systems_table(result: Result) -> Table:
    """Return mean and interval of each score, and the rank, of each system."""
    rows = []
    for name, system in result.systems.items():
        cells = [str(len(system.runs))]
        for comparison in result.scores.values():
            cells += [f"{comparison.means[name].value:.2f}", interval(comparison.means[name])]
        rows.append([name, *cells, rank(result.scores[DECISIVE].ranks[name])])
    headings = [heading for label in SCORES.values() for heading in (label, "95 %")]
    return Table(["system"], ["runs", *headings, "rank"], rows)


def pairs_table(result: Result) -> Table:
    """Return the difference of each pair in each score, with what this test could have shown."""
    rows = [
        [f"{pair.one} - {pair.other}", label, *_difference(pair)]
        for score, label in SCORES.items()
        for pair in result.scores[score].differences
    ]
    headings = ["difference", "95 %", "p", "could show", f"{NAMES[result.by][1]} needed"]
    return Table(["pair", "score"], headings, rows)


def answers_table(result: Result) -> Table:
    """Return how many exact answers each pair wins and loses, with McNemar's test."""
    rows = [[f"{pair.one} - {pair.other}", *_answers(pair)] for pair in _exact(result)]
    return Table(["pair"], _ANSWERS, rows)


def narrow_tables(result: Result) -> list[Table]:
    """Return the same tables for 80 columns: one for each score, each system with its pairs."""
    headings = ["95 %", "p", "could show", "needed"]
    tables = [
        Table([f"{label} of"], ["more", *headings], _grouped(comparison.differences, _difference))
        for label, comparison in zip(SCORES.values(), result.scores.values(), strict=True)
    ]
    answers = Table(["exact answers of"], _ANSWERS, _grouped(_exact(result), _answers))
    return [*tables, answers]


def _grouped(
    pairs: Sequence[Difference], cells: Callable[[Difference], list[str]]
) -> list[list[str]]:
    """Return rows of pairs, below a row with the name of their first system."""
    rows: list[list[str]] = []
    for one, group in groupby(pairs, key=lambda pair: pair.one):
        of_one = [[f"  than {pair.other}", *cells(pair)] for pair in group]
        rows += [[one, *("" for _ in of_one[0][1:])], *of_one]
    return rows


def _exact(result: Result) -> Sequence[Difference]:
    return result.scores["exact_match"].differences


def _difference(pair: Difference) -> list[str]:
    return [
        f"{pair.value:+.2f}",
        interval(pair),
        f"{pair.adjusted:.4f}",
        "-" if pair.detectable is None else f"{pair.detectable:.2f}",
        "-" if pair.clusters_needed is None else f"{pair.clusters_needed:,}",
    ]


def _answers(pair: Difference) -> list[str]:
    return [f"{pair.won:,}", f"{pair.lost:,}", f"{mcnemar_p_value(pair.won, pair.lost):.2g}"]


def costs_table(result: Result) -> Table | None:
    """Return what each system costs, and its points of F1 for each unit; None if nothing is known.

    The units are a million parameters, a megabyte and a minute of training.
    """
    costs = [system.costs for system in result.systems.values()]
    shown = [figure for figure in _FIGURES if any(figure.name in each for each in costs)]
    if not shown:
        return None
    paid = [figure for figure in shown if figure.name in _PAID]
    rows = []
    for name, system in result.systems.items():
        f1 = result.scores[DECISIVE].means[name].value
        cells = [_cost(figure, system.costs.get(figure.name)) for figure in shown]
        for figure in paid:
            value = system.costs.get(figure.name)
            cells.append(f"{f1 * _PAID[figure.name][1] / value:.2f}" if value else "-")
        rows.append([name, *cells])
    headings = [_SHORT.get(figure.name, figure.short) for figure in shown]
    return Table(["system"], [*headings, *(_PAID[figure.name][0] for figure in paid)], rows)


def flips_tables(found: Sequence[Flip], pair: Difference) -> list[Table]:
    """Return the questions that the first system of a pair won and lost, by kind and one by one."""
    kinds = [[kind, str(won), str(lost)] for kind, won, lost in by_kind(found)]
    rows = [
        [
            "won" if flip.won else "lost",
            flip.question,
            " / ".join(flip.references) or "none",
            " / ".join(dict.fromkeys(flip.one)) or "none",
            " / ".join(dict.fromkeys(flip.other)) or "none",
        ]
        for flip in found
    ]
    return [
        Table([f"{pair.one} against {pair.other}"], ["won", "lost"], kinds),
        Table([pair.one, "question", "reference", pair.one, pair.other], [], rows),
    ]


def as_csv(tables: Sequence[Table]) -> str:
    """Return tables as CSV, with an empty line between two."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    for number, table in enumerate(tables):
        if number:
            file.write("\n")
        writer.writerows([[*table.texts, *table.figures], *table.rows])
    return file.getvalue()


def interval(mean: Mean) -> str:
    """Return the ends of an interval as text; `-` where there is none."""
    return "-" if mean.low is None else f"{mean.low:.2f} to {mean.high:.2f}"


def rank(open_ranks: Sequence[int]) -> str:
    """Return the highest and lowest rank that a system may have as text."""
    first, last = open_ranks
    return str(first) if first == last else f"{first}-{last}"


def _cost(figure: Figure, value: float | None) -> str:
    if value is None:
        return "-"
    match figure.unit:
        case "count":
            return f"{value / 1e6:,.1f}M"
        case "bytes":
            return f"{value / 1e6:,.1f}"
        case "seconds":
            return f"{value:,.0f}"
    return f"{value:,.1f}"
