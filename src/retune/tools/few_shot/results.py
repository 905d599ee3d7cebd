"""The scores of the draws of a protocol, their mean and its interval."""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from retune.core.errors import RetuneError
from retune.stats.paired import Mean
from retune.tools.compare.by_draw import crossed_interval
from retune.tools.compare.clustering import By, clusters_of
from retune.tools.compare.sources import scores_of
from retune.tools.compare.systems import SCORES, System, percent, require_comparable
from retune.tools.experiments.listing import Ref, file_of, recorded_splits
from retune.tools.few_shot.plan import Plan

_CURVE = "metrics/qa_curves/validation.csv"


@dataclass(frozen=True)
class Draw:
    """One draw of training questions.

    Attributes:
        number: of the draw, and the seed of its training.
        scores: on the test questions in percent, by name.
        epoch: that was kept; None if it is not known.
    """

    number: int
    scores: Mapping[str, float]
    epoch: int | None


@dataclass(frozen=True)
class Result:
    """The draws of a protocol.

    Attributes:
        draws: in order.
        means: of each score over draws and test questions, with intervals.
        questions: test questions.
        clusters: groups of these, such as passages.
        by: what they are grouped by.
    """

    draws: Sequence[Draw]
    means: Mapping[str, Mean]
    questions: int
    clusters: int
    by: By

    def of_each(self, score: str) -> list[float]:
        """Return a score of each draw."""
        return [draw.scores[score] for draw in self.draws]


def read_result(plan: Plan, refs: Mapping[str, Ref], by: By = "passage") -> Result:
    """Read the scores of all draws.

    Raises:
        RetuneError: a draw has other questions than planned, or its scores are not in DVC's cache.
    """
    chosen = [refs[experiment.name] for experiment in plan.experiments]
    for ref in chosen:
        _require_sizes(ref, plan.questions)
    numbers = range(1, len(chosen) + 1)
    system = System(plan.name, [scores_of(ref) for ref in chosen], numbers, draws=numbers)
    require_comparable([system])
    first = system.runs[0]
    clusters = clusters_of(first, by)
    order = [question.id for question in first]
    tables = {score: percent(system, score, order) for score in SCORES}
    keep = str(plan.values["qa"]["train"]["keep"])
    draws = [
        Draw(
            number,
            {s: math.fsum(table[row]) / len(order) for s, table in tables.items()},
            kept_epoch(file_of(ref, _CURVE), keep),
        )
        for row, (number, ref) in enumerate(zip(numbers, chosen, strict=True))
    ]
    means = {score: crossed_interval(table, clusters) for score, table in tables.items()}
    return Result(draws, means, len(first), len(clusters), by)


def kept_epoch(curve: str, keep: str) -> int | None:
    """Return the epoch that a training kept, by its scores on validation.

    Args:
        curve: a CSV with `epoch` and `f1` of each evaluation.
        keep: "best" for the first one with the highest F1, or "last".
    """
    rows = [*_rows(curve)]
    if not rows:
        return None
    return rows[-1][0] if keep == "last" else max(rows, key=lambda row: (row[1], -row[0]))[0]


def _rows(curve: str) -> Iterator[tuple[int, float]]:
    for row in csv.DictReader(io.StringIO(curve)):
        yield round(float(row["epoch"])), float(row["f1"])


def _require_sizes(ref: Ref, wanted: Mapping[str, int]) -> None:
    """Refuse a draw that has another number of questions than planned."""
    found = {split["split"]: split["questions"] for split in recorded_splits(ref)}
    if found != dict(wanted):
        raise RetuneError(
            f"{ref.name} has {_counts(found)} questions instead of {_counts(wanted)}, because the "
            "data changed while it ran; run `retune few-shot` again with --replace"
        )


def _counts(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in sizes.items())
