"""Figures of perturbations: how many answers stay the same, and how far F1 drops."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from retune.stats.clusters import Clusters
from retune.stats.paired import mean_scores
from retune.tasks.qa.perturb.kinds import Kind
from retune.tasks.qa.questions.examples import Example

#: Names of the readers in the figures.
MODEL, BASELINE = "model", "first candidate"
#: The headings of the table.
TABLE = (
    *("perturbation", "questions", "unchanged", "unchanged_low", "unchanged_high"),
    *("f1_drop", "f1_drop_low", "f1_drop_high"),
)


class Pair(NamedTuple):
    """A question before and after a perturbation."""

    kind: Kind
    before: Example
    after: Example


class Answered(NamedTuple):
    """The answers of one reader to a question before and after, and their F1 in percent."""

    before: str
    after: str
    unchanged: bool
    f1_before: float
    f1_after: float


def figures(
    pairs: Sequence[Pair], found: Mapping[str, Sequence[Answered]]
) -> Iterator[dict[str, Any]]:
    """Yield the figures of each reader for each kind that applies to a question."""
    places: dict[str, list[int]] = {}
    for place, pair in enumerate(pairs):
        places.setdefault(pair.kind.name, []).append(place)
    for name, chosen in places.items():
        keeps_gold = pairs[chosen[0]].kind.keeps_gold
        clusters = Clusters.named([pairs[place].before.context for place in chosen])
        for reader, answered in found.items():
            yield {
                "perturbation": name,
                "reader": reader,
                "questions": len(chosen),
                "passages": len(clusters),
            } | _scores([answered[place] for place in chosen], clusters, keeps_gold=keeps_gold)


def _scores(
    answered: Sequence[Answered], clusters: Clusters, *, keeps_gold: bool
) -> dict[str, Any]:
    before = np.array([each.f1_before for each in answered])
    after = np.array([each.f1_after for each in answered])
    scores = {
        "unchanged": np.array([100.0 * each.unchanged for each in answered]),
        "f1_before": before,
        "f1_after": after,
        "f1_drop": before - after,
    }
    row: dict[str, Any] = {}
    for name, mean in mean_scores(scores, clusters).items():
        has = keeps_gold or name in ("unchanged", "f1_before")
        values = (mean.value, mean.low, mean.high) if has else (None, None, None)
        row |= dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))
    return row


def table_rows(rates: Sequence[Mapping[str, Any]]) -> Iterator[list[Any]]:
    """Yield the lines of the table."""
    for row in rates:
        name = row["perturbation"]
        shown = name if row["reader"] == MODEL else f"{name} ({row['reader']})"
        yield [shown, *(row[key] for key in TABLE[1:])]
