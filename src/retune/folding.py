"""Runs that differ by their seed alone, folded to their spread; gaps against that spread.

A figure of one run is one draw: initial weights, order and dropout differ with the seed
(Reimers and Gurevych, "Reporting Score Distributions Makes a Difference", EMNLP 2017). What
the data would add, other questions drawn from the same source, no number of seeds shows.
"""

import math
import statistics
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

from retune.errors import RetuneError, listed
from retune.experiments import SEED
from retune.table import APART, COLUMNS, print_table, print_wrapped

#: Figures of a run that have a spread; of these, the scores are compared between variants.
SPREAD = ("qa.exact_match", "qa.f1", "qa.train_windows_per_second")
SCORES = SPREAD[:2]
MODEL = "qa.model"
HEADINGS = {key: heading for heading, key, *_ in COLUMNS}
#: Of the scores.
SCORE_HEADINGS = {key: HEADINGS[key] for key in SCORES}
MOST = 10  # warnings that are printed
FRACTIONS = ("rouge_1_f1", "rouge_2_f1")  # figures from 0 to 1
ENOUGH = 3  # seeds; with two, the interval is thirteen standard errors wide
CONFIDENCE = 0.95

Verdict = Literal["above", "below", "unknown"]


@dataclass(frozen=True)
class Variant:
    """One set of parameters, and the figures that it had with each seed.

    Attributes:
        name: of its experiments, without the seed.
        model: `qa.model`.
        values: figure by seed, by the figure's dotted name.
        data: what it was scored on; only variants with the same are compared.
    """

    name: str
    model: str
    values: Mapping[str, Mapping[int, float]]
    data: str = ""

    @property
    def seeds(self) -> list[int]:
        """The seeds that it has figures of."""
        return sorted({seed for values in self.values.values() for seed in values})

    def mean(self, key: str) -> float:
        """Mean of a figure over the seeds."""
        return statistics.fmean(self.values[key].values())


@dataclass(frozen=True)
class Gap:
    """How far one variant is above another by a score, in the score's unit.

    Attributes:
        key: dotted name of the score.
        better: name of the variant above.
        worse: name of the variant below.
        seeds: how many seeds both have.
        mean: of the differences, paired by seed; of both means where no seed is in common.
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
        """Whether the gap is more than the noise of seeds: does the interval leave out 0?"""
        if self.half_width is None:
            return "unknown"
        return "above" if self.mean > self.half_width else "below"


def fold(
    shown: Sequence[Mapping[str, Any]],
    params: Sequence[str],
    *,
    seed_param: str = SEED,
    label: str = MODEL,
    figures: Sequence[str] = SPREAD,
) -> list[Variant]:
    """Put the runs together that differ by seed alone; best mean F1 first.

    Args:
        shown: experiments as DVC shows them, with metrics and params in columns.
        params: dotted names of all parameters.
        seed_param: the one of them that is the seed.
        label: the column with the model's name.
        figures: the columns that have a spread.

    Raises:
        RetuneError: two runs are the same but for their names.
    """
    groups: dict[tuple[str, ...], dict[int, Mapping[str, Any]]] = {}
    for row in shown:
        settings = (str(row.get(key)) for key in params if key != seed_param)
        runs = groups.setdefault((str(row.get("data", "")), *settings), {})
        seed = int(row[seed_param])
        if seed in runs:
            raise RetuneError(
                f"experiments {runs[seed]['Experiment']} and {row['Experiment']} are the same, "
                f"with seed {seed}: one run must not count twice; name only one of them"
            )
        runs[seed] = row
    variants = [_variant(runs, label, figures) for runs in groups.values()]
    return sorted(variants, key=lambda v: -v.mean("qa.f1") if "qa.f1" in v.values else math.inf)


def gaps(variants: Sequence[Variant], scores: Iterable[str] = SCORES) -> list[Gap]:
    """The gap of each pair of variants by each score, the better one first.

    Variants that were scored on different data have none.
    """
    return [
        _gap(key, one, other)
        for key in scores
        for one, other in combinations(variants, 2)
        if one.data == other.data and key in one.values and key in other.values
    ]


def t_quantile(degrees: int) -> float:
    """How many standard errors the 95 % t interval reaches to each side.

    That is where both tails of Student's t together are 5 %: the regularized incomplete beta
    function I(x; n/2, 1/2) at x = n / (n + t^2), with n degrees of freedom (Abramowitz and
    Stegun, Handbook of Mathematical Functions, 26.7.1).
    """
    import mpmath

    def excess(t: Any) -> Any:
        x = degrees / (degrees + t * t)
        return mpmath.betainc(degrees / 2, 0.5, 0, x, regularized=True) - (1 - CONFIDENCE)

    return float(mpmath.findroot(excess, (1, 13), solver="anderson"))


def interval_half_width(values: Sequence[float]) -> float | None:
    """Of the 95 % t interval around the mean of a figure's values; None of fewer than three."""
    if len(values) < ENOUGH:
        return None
    return t_quantile(len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))


def _gap(key: str, one: Variant, other: Variant) -> Gap:
    """The gap with its paired t interval: of the differences seed by seed, mean ± t s / √n.

    Student, "The Probable Error of a Mean", Biometrika 1908; Montgomery, Design and Analysis
    of Experiments, on paired comparisons. The interval is taken for each pair alone: where
    many variants are compared, one gap in twenty leaves it by chance.
    """
    mine, others = one.values[key], other.values[key]
    common = sorted(mine.keys() & others.keys())
    differences = [mine[seed] - others[seed] for seed in common]
    mean = statistics.fmean(differences) if common else one.mean(key) - other.mean(key)
    names = (one.name, other.name) if mean >= 0 else (other.name, one.name)
    return Gap(key, *names, len(common), abs(mean), interval_half_width(differences))


def _variant(runs: Mapping[int, Mapping[str, Any]], label: str, figures: Sequence[str]) -> Variant:
    values: dict[str, dict[int, float]] = {}
    for seed, row in sorted(runs.items()):
        for key in figures:
            if row.get(key) is not None:
                values.setdefault(key, {})[seed] = row[key]
    names = sorted(_stem(row["Experiment"], seed) for seed, row in runs.items())
    one = next(iter(runs.values()))
    return Variant(min(names, key=len), str(one[label]), values, str(one.get("data", "")))


def _stem(name: str, seed: int) -> str:
    """The name without its seed, unless that is all of it."""
    parts = [part for part in name.split("-") if part != f"seed={seed}"]
    return "-".join(parts) or "seeds"


def report(
    variants: Sequence[Variant],
    asked: int | None = None,
    *,
    headings: Mapping[str, str] = HEADINGS,
    scores: Mapping[str, str] = SCORE_HEADINGS,
) -> None:
    """Print the spread of each figure as a table, and what it says of the gaps.

    Args:
        variants: from `fold`.
        asked: how many seeds there should be of each.
        headings: of all figures.
        scores: headings of those that are compared.
    """
    figures = ["seeds", "mean", "std", "min", "max"]
    groups = list(dict.fromkeys(variant.data for variant in variants))
    for data in groups:
        if len(groups) > 1:
            print_wrapped(data)
        group = [variant for variant in variants if variant.data == data]
        print_table(["variant", "metric"], figures, _table_rows(group, asked, headings))
    if len(groups) > 1:
        print_wrapped(APART)
    sentences = warnings(variants, scores)
    if len(sentences) > MOST:
        sentences[MOST:] = [f"{len(sentences) - MOST} more such gaps; --json lists all of them"]
    for warning in sentences:
        print(textwrap.fill(f"warning: {warning}", 80, subsequent_indent="  "))


def as_json(
    variants: Sequence[Variant], *, label: str = MODEL, scores: Iterable[str] = SCORES
) -> dict[str, Any]:
    """Spread, figures by seed and gaps, for other programs; arguments as of `fold`."""
    return {
        "variants": [
            {
                "name": variant.name,
                label: variant.model,
                "data": variant.data,
                "seeds": variant.seeds,
                "metrics": {
                    key: spread(values) | {"by_seed": dict(values)}
                    for key, values in variant.values.items()
                },
            }
            for variant in variants
        ],
        "gaps": [vars(gap) | {"seed_noise": gap.verdict} for gap in gaps(variants, scores)],
    }


def warnings(
    variants: Sequence[Variant], headings: Mapping[str, str] = SCORE_HEADINGS
) -> list[str]:
    """A sentence for each gap that the noise of seeds may explain, and where it is unknown.

    `headings` names the scores that are compared.
    """
    found = gaps(variants, headings)
    sentences = [
        f"{headings[gap.key]} of {gap.better} over {gap.worse} is below seed noise: "
        f"{_interval(gap)} (95 %, {gap.seeds} seeds); other seeds may turn it round"
        for gap in found
        if gap.verdict == "below"
    ]
    pairs = dict.fromkeys(f"{g.better} over {g.worse}" for g in found if g.verdict == "unknown")
    if pairs:
        sentences.append(
            f"seed noise is unknown with fewer than {ENOUGH} seeds in common: {listed([*pairs])}"
        )
    return sentences


def _table_rows(
    variants: Sequence[Variant], asked: int | None, headings: Mapping[str, str]
) -> list[list[str]]:
    rows = []
    for variant in variants:
        for key, values in variant.values.items():
            count = f"{len(values)} of {asked}" if asked else str(len(values))
            numbers = spread(values).values()
            figures = ["-" if x is None else f"{x:.{_digits(key)}f}" for x in numbers]
            rows.append([variant.name, headings[key], count, *figures])
    return rows


def _interval(gap: Gap) -> str:
    digits = _digits(gap.key)
    return f"{gap.mean:+.{digits}f} ± {gap.half_width:.{digits}f}"


def _digits(key: str) -> int:
    return 4 if key in FRACTIONS else 2


def spread(by_seed: Mapping[int, float]) -> dict[str, float | None]:
    """Mean, standard deviation (n - 1), least and most; one value has no deviation."""
    values = list(by_seed.values())
    return {
        "mean": statistics.fmean(values),
        "std": statistics.stdev(values) if len(values) > 1 else None,
        "min": min(values),
        "max": max(values),
    }
