"""Where the reader fails: the figures of the stage `analyse` as charts."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from retune.tools.report.content import Bar, Bars, Block, Remark

#: Lists in the metrics of the stage, which are drawn here.
CLAIMED = ("groups", "errors")


def failures(analysis: Mapping[str, Any]) -> Iterator[Block]:
    """Yield the mistakes, and F1 by group for each way of grouping."""
    errors = analysis["errors"]
    if errors:
        bars = tuple(Bar(row["error"], row["questions"]) for row in errors)
        yield Bars("Wrong answers by mistake", "test questions", bars)
        yield Remark(_in_words(errors))
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in analysis["groups"]:
        groups.setdefault(row["by"], []).append(row)
    for name, rows in groups.items():
        yield Bars(f"F1 by {name}", "F1 in percent (questions in brackets)", _bars(rows), most=100)
    if groups:
        yield Remark(
            "Intervals are 95 % intervals by the bootstrap over passages, for one group each: of "
            "forty groups, two lie outside by chance. docs/explaining.md has the rules."
        )


def _bars(rows: Sequence[Mapping[str, Any]]) -> tuple[Bar, ...]:
    return tuple(
        Bar(f"{row['group']} ({row['questions']:,})", row["f1"], row["f1_low"], row["f1_high"])
        for row in rows
    )


def _in_words(errors: Sequence[Mapping[str, Any]]) -> str:
    wrong = sum(row["questions"] for row in errors)
    most = sorted(errors, key=lambda row: -row["questions"])[:3]
    told = "; ".join(f"{row['error']} ({row['questions'] / wrong:.0%})" for row in most)
    return f"Of {wrong:,} wrong answers most are: {told}."
