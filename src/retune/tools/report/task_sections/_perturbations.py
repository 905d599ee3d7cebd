"""Answers to perturbed questions: the figures of the stage `perturb` as charts."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from retune.tools.report.content import Bar, Bars, Block, Remark

#: Lists in the metrics of the stage, which are drawn here.
CLAIMED = ("perturbations", "perturbed")
_MODEL = "model"


def perturbations(metrics: Mapping[str, Any]) -> Iterator[Block]:
    """Yield the unchanged answers and the drop of F1 by kind, each beside the baseline."""
    rows = metrics["perturbations"]
    if not rows:
        text = "No question is perturbed: qa.perturb.questions is 0, or no kind applies."
        yield Remark(text, "missing")
        return
    bars = tuple(_bars(rows, "unchanged"))
    yield Bars("Answers that stay the same", "percent (questions in brackets)", bars, most=100)
    scored = [row for row in rows if row["f1_drop"] is not None]
    yield Bars("Drop of F1", "points of F1, before less after", tuple(_bars(scored, "f1_drop")))
    (about,) = metrics["perturbed"]
    yield Remark(
        f"{about['questions']:,} questions on {about['passages']:,} passages are perturbed. The "
        "hollow bar of each kind is a baseline: a reader that always gives the first candidate of "
        "the expected type. Where it keeps more answers than the model, unchanged answers show no "
        "understanding."
    )
    yield Remark(
        "Intervals are 95 % intervals by the bootstrap over passages, for one kind each. About one "
        "in twenty misses its true value. docs/explaining.md has the rules."
    )


def _bars(rows: Sequence[Mapping[str, Any]], name: str) -> Iterator[Bar]:
    for row in rows:
        is_model = row["reader"] == _MODEL
        shown = f"{row['perturbation']} ({row['questions']:,})" if is_model else row["reader"]
        interval = row[f"{name}_low"], row[f"{name}_high"]
        yield Bar(shown, row[name], *interval, baseline=not is_model)
