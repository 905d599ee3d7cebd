"""The spread of a figure over seeds, and gaps between variants against that spread.

A figure of one run is one draw: initial weights, order and dropout differ with the seed
(Reimers and Gurevych, "Reporting Score Distributions Makes a Difference", EMNLP 2017). Seeds do not
show the effect of other questions from the same source.
"""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal, NamedTuple

from retune.core.errors import listed
from retune.stats.student import t_quantile

ENOUGH = 3  # seeds; with two, the interval is thirteen standard errors wide
CONFIDENCE = 0.95


class FoldRun(NamedTuple):
    """A run with one seed in one fold of the data."""

    seed: int
    fold: int
    folds: int

    def __str__(self) -> str:
        return f"{self.seed}, fold {self.fold} of {self.folds}"


#: A run of a variant: its seed, and in a fold of the data also the fold.
RunKey = int | FoldRun
Verdict = Literal["above", "below", "unknown"]


@dataclass(frozen=True)
class Variant:
    """One set of parameters, and its figures with each seed.

    Attributes:
        name: of its experiments, without the seed.
        model: the name of its model.
        values: figure by `RunKey`, by the figure's dotted name.
        data: that it was scored on; only variants with the same data are compared.
    """

    name: str
    model: str
    values: Mapping[str, Mapping[Any, float]]
    data: str = ""

    @property
    def seeds(self) -> list[RunKey]:
        """The seeds with figures."""
        return in_order({seed for values in self.values.values() for seed in values})

    @property
    def in_folds(self) -> bool:
        """Whether its runs are in folds, which noise of seeds does not explain."""
        return any(isinstance(seed, FoldRun) for seed in self.seeds)

    def mean(self, key: str) -> float:
        """Mean of a figure over the seeds."""
        return statistics.fmean(self.values[key].values())


@dataclass(frozen=True)
class Gap:
    """The difference between two variants in a score, in the score's unit.

    Attributes:
        key: dotted name of the score.
        better: name of the variant above.
        worse: name of the variant below.
        seeds: how many seeds both have.
        mean: of the differences, paired by seed; without common seeds, the difference of the means.
        half_width: of the interval around `mean`; None with fewer than three common seeds.
    """

    key: str
    better: str
    worse: str
    seeds: int
    mean: float
    half_width: float | None

    @property
    def verdict(self) -> Verdict:
        """Whether the gap exceeds the noise of seeds, so that its interval excludes 0."""
        if self.half_width is None:
            return "unknown"
        return "above" if self.mean > self.half_width else "below"


def gaps(variants: Sequence[Variant], scores: Iterable[str]) -> list[Gap]:
    """The gap of each pair of variants in each score, the better one first.

    Variants that were scored on different data are not compared, and neither are those in folds.
    """
    return [
        _gap(key, one, other)
        for key in scores
        for one, other in combinations(variants, 2)
        if one.data == other.data and key in one.values and key in other.values
        if not one.in_folds
    ]


def interval_half_width(values: Sequence[float]) -> float | None:
    """The half-width of the 95 % t interval of the mean; None for fewer than three values."""
    if len(values) < ENOUGH:
        return None
    quantile = t_quantile(len(values) - 1, (1 + CONFIDENCE) / 2)
    return quantile * statistics.stdev(values) / math.sqrt(len(values))


def in_order(seeds: Iterable[RunKey]) -> list[RunKey]:
    """Return seeds, or seeds with folds, in ascending order."""
    return sorted(seeds, key=lambda seed: (seed,) if isinstance(seed, int) else seed)


def spread(by_seed: Mapping[Any, float]) -> dict[str, float | None]:
    """Mean, standard deviation (n - 1; none for one value), minimum and maximum."""
    values = list(by_seed.values())
    return {
        "mean": statistics.fmean(values),
        "std": statistics.stdev(values) if len(values) > 1 else None,
        "min": min(values),
        "max": max(values),
    }


def warnings(
    variants: Sequence[Variant],
    headings: Mapping[str, str],
    digits: Mapping[str, int] | None = None,
) -> list[str]:
    """A sentence for each gap that the noise of seeds may explain, and where it is unknown.

    Args:
        variants: to compare in pairs.
        headings: of the scores that they are compared by.
        digits: of a score after the decimal point, where these are not two.
    """
    found = gaps(variants, headings)
    sentences = [
        f"{headings[gap.key]} of {gap.better} over {gap.worse} is below seed noise: "
        f"{_interval(gap, digits)} (95 %, {gap.seeds} seeds); other seeds may reverse it"
        for gap in found
        if gap.verdict == "below"
    ]
    pairs = dict.fromkeys(f"{g.better} over {g.worse}" for g in found if g.verdict == "unknown")
    if pairs:
        sentences.append(
            f"seed noise is unknown with fewer than {ENOUGH} seeds in common: {listed([*pairs])}"
        )
    return sentences


def _gap(key: str, one: Variant, other: Variant) -> Gap:
    """The gap with its paired t interval: of the differences seed by seed, mean ± t s / √n.

    Student, "The Probable Error of a Mean", Biometrika 1908; Montgomery, Design and Analysis
    of Experiments, on paired comparisons. Each pair has its own interval: among many compared
    variants, one gap in twenty lies outside by chance.
    """
    mine, others = one.values[key], other.values[key]
    common = in_order(mine.keys() & others.keys())
    differences = [mine[seed] - others[seed] for seed in common]
    mean = statistics.fmean(differences) if common else one.mean(key) - other.mean(key)
    names = (one.name, other.name) if mean >= 0 else (other.name, one.name)
    return Gap(key, *names, len(common), abs(mean), interval_half_width(differences))


def _interval(gap: Gap, digits: Mapping[str, int] | None) -> str:
    places = (digits or {}).get(gap.key, 2)
    return f"{gap.mean:+.{places}f} ± {gap.half_width:.{places}f}"
