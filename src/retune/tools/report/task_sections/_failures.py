"""Where the reader fails: the figures of the stage `analyse` as charts."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from retune.tools.report.content import Bar, Bars, Block, Remark

#: Lists in the metrics of the stage, which are drawn here.
CLAIMED = ("groups", "errors")
#: What the groups of a grouping are, where the name does not say it.
_UNITS = {
    "answer length": "words of the shortest gold answer",
    "passage length": "words",
    "windows": "windows of the passage",
    "answer position": "where the gold answer begins",
    "question overlap": "words of the question in the gold answer's sentence",
    "distractors": "other dates, numbers or names in the passage",
}


def failures(analysis: Mapping[str, Any]) -> Iterator[Block]:
    """Yield the types of error, and F1 by group for each grouping."""
    errors = analysis["errors"]
    if errors:
        bars = tuple(Bar(row["error"], row["questions"]) for row in errors)
        yield Bars("Wrong answers by type of error", "test questions", bars, form="count")
        yield Remark(_most_frequent(errors))
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in analysis["groups"]:
        groups.setdefault(row["by"], []).append(row)
    for name, rows in groups.items():
        title = f"F1 by {name}" + (f": {_UNITS[name]}" if name in _UNITS else "")
        yield Bars(title, "F1 in percent (questions in brackets)", _bars(rows), most=100)
    if groups:
        yield Remark(
            "Intervals are 95 % intervals by the bootstrap over passages, for one group each. "
            "About one in twenty misses its true value. docs/explaining.md has the rules."
        )


def _bars(rows: Sequence[Mapping[str, Any]]) -> tuple[Bar, ...]:
    return tuple(
        Bar(f"{row['group']} ({row['questions']:,})", row["f1"], row["f1_low"], row["f1_high"])
        for row in rows
    )


def _most_frequent(errors: Sequence[Mapping[str, Any]]) -> str:
    wrong = sum(row["questions"] for row in errors)
    most = sorted(errors, key=lambda row: -row["questions"])[:3]
    parts = [f"{row['error']} ({row['questions'] / wrong:.0%})" for row in most]
    answers = "1 wrong answer" if wrong == 1 else f"{wrong:,} wrong answers"
    return f"The most frequent errors among {answers}: {'; '.join(parts)}."
