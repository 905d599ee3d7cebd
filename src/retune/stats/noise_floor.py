"""Whether one setting of a training is better than another, beyond the noise of both.

A setting is trained with R seeds, and every run answers the same N questions in G passages. Two
trainings that differ only by their seeds do answer some questions differently, so a test over the
questions alone finds "differences" between equal settings. A test over the seeds alone finds
settings that fit these questions better, and no others. `gain` counts both.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from retune.core.numerics import Doubles
from retune.stats.clusters import Clusters, standard_error
from retune.stats.student import t_quantile, t_tail


@dataclass(frozen=True)
class Gain:
    """How much better a setting is than another.

    Attributes:
        value: the difference of the mean scores.
        error: its standard error.
        degrees: of freedom of the error.
    """

    value: float
    error: float
    degrees: float

    @property
    def p_value(self) -> float:
        """The one-sided p-value: how often noise alone gains as much."""
        if not self.error:
            return 0.0 if self.value > 0 else 1.0
        return t_tail(self.value / self.error, self.degrees)

    @property
    def two_sided(self) -> float:
        """The two-sided p-value: how often noise alone gains or loses as much."""
        return min(1.0, 2 * replace(self, value=abs(self.value)).p_value)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the value."""
        reach = t_quantile(self.degrees) * self.error if self.error else 0.0
        return self.value - reach, self.value + reach


def gain(
    base: Doubles, tried: Doubles, clusters: Clusters, others: Iterable[Sequence[float]] = ()
) -> Gain:
    """Return how much better the runs `tried` are than the runs `base`.

    The variance of the difference of the means is that of two crossed factors, passages and seeds
    (Cameron, Gelbach & Miller, "Robust Inference With Multiway Clustering", 2011):
    `questions + seeds - both`.

    - `questions`: cluster-robust, of the scores that are averaged over seeds, paired by question.
    - `seeds`: of the mean scores of the runs. Three seeds alone say little about it, so it is
      pooled over all settings tried so far. The own spread of `tried` counts if it is larger, so
      that an unstable training does not pass as a good one.
    - `both`: what differs from run to run within passages, which the first two both count.

    The result is never below the larger of `questions` and `seeds`. Satterthwaite's formula (1946)
    gives the degrees of freedom. The rule assumes that passages and seeds are drawn independently,
    that mean scores are about normal, and that settings vary about equally over seeds, or `tried`
    more. `bench/tries.py` measures how often it errs.

    Args:
        base: scores of R runs, shape (R, N), with R at least 2.
        tried: scores of another setting, in the same shape.
        clusters: the passages of the questions, at least 2.
        others: the mean scores of the runs of other settings, each of at least 2 runs.
    """
    counts = len(tried)
    difference = (np.add.reduce(tried, axis=0) - np.add.reduce(base, axis=0)) / counts
    questions = standard_error(difference, clusters) ** 2
    own, of_base = _run_variance(run_means(tried)), _run_variance(run_means(base))
    known = [_run_variance(means) for means in others]
    pooled = math.fsum([own, of_base, *known]) / (2 + len(known))
    seeds = (pooled + max(pooled, own)) / counts
    both = _run_by_passage(tried, clusters) + _run_by_passage(base, clusters)
    variance = max(questions, seeds, questions + seeds - both)
    terms = (
        questions**2 / (len(clusters) - 1),
        seeds**2 / ((2 + len(known)) * (counts - 1)),
    )
    degrees = variance**2 / math.fsum(terms) if variance else 1.0
    return Gain(math.fsum(difference) / len(difference), math.sqrt(variance), degrees)


def crossed_mean(runs: Doubles, clusters: Clusters) -> Gain:
    """Return the mean of the scores of R runs, with the noise of both runs and passages.

    Runs and passages are two crossed factors, as in `gain`, so the variance is `questions + runs -
    both`, and never below the larger of the first two. For the difference of two settings that are
    paired by run, such as trainings on the same draws, give the differences of their scores.

    Args:
        runs: scores, shape (R, N), with R at least 2.
        clusters: the passages of the questions, at least 2.
    """
    average = np.add.reduce(runs, axis=0) / len(runs)
    questions = standard_error(average, clusters) ** 2
    drawn = _run_variance(run_means(runs)) / len(runs)
    variance = max(questions, drawn, questions + drawn - _run_by_passage(runs, clusters))
    terms = questions**2 / (len(clusters) - 1), drawn**2 / (len(runs) - 1)
    degrees = variance**2 / math.fsum(terms) if variance else 1.0
    return Gain(math.fsum(average) / len(average), math.sqrt(variance), degrees)


def run_means(runs: Doubles) -> list[float]:
    """Return the mean score of each run (R, N)."""
    return [math.fsum(run) / len(run) for run in runs]


def _run_variance(means: Sequence[float]) -> float:
    """Return the variance of the mean scores of a setting's runs."""
    center = math.fsum(means) / len(means)
    return math.fsum((mean - center) ** 2 for mean in means) / (len(means) - 1)


def _run_by_passage(runs: Doubles, clusters: Clusters) -> float:
    """Return the variance of a setting's mean that comes from runs that differ within passages."""
    count, groups = len(runs), len(clusters)
    residuals = [
        np.bincount(clusters.numbers, weights=run - mean)
        for run, mean in zip(runs, run_means(runs), strict=True)
    ]
    beyond = np.stack(residuals) - np.add.reduce(residuals, axis=0) / count
    total = math.fsum((beyond**2).ravel()) * groups / (groups - 1)
    questions: int = runs.shape[1]
    return total / (count - 1) / count / questions**2
