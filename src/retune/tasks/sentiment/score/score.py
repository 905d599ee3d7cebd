"""Stage `score`: score one variant over all seeds, and measure its calibration.

Each seed's figures are computed over all validation texts. Mean, deviation and interval are over
the seeds; nothing is averaged over texts and seeds together. Only the two plots pool: each text
counts once per seed. The ensemble averages the probabilities of all seeds.
"""

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass

from retune.core.files import write_csv, write_json
from retune.core.numerics import Doubles
from retune.core.params import STRICT, Positive, Seed
from retune.stats.calibration import expected_calibration_error, reliability_curve
from retune.stats.seed_spread import interval_half_width, spread
from retune.tasks.sentiment.texts.examples import LABELS
from retune.tasks.sentiment.texts.predictions import (
    Gold,
    answers,
    read_gold,
    read_seeds,
    seed_folders,
)

#: The scores, by what tables call them.
SCORES = {"accuracy": "accuracy", "f1": "F1", "macro_f1": "macro F1"}
#: Columns of the reliability curve, for the bins of `reliability_curve`.
_RELIABILITY = ("low", "high", "probability", "positive", "texts")


@dataclass(frozen=True, config=STRICT)
class ScoreParams:
    """Section `sentiment.score`.

    The reliability curve has `bins` of equal width. Two variants are compared over `resamples` of
    the texts, drawn by `resampling_seed`.
    """

    bins: Positive
    resamples: Positive
    resampling_seed: Seed


class Confusion(NamedTuple):
    """Counts of texts by label and answer."""

    true_negatives: int
    false_positives: int
    false_negatives: int
    true_positives: int

    @classmethod
    def of(cls, labels: NDArray[np.int64], answered: NDArray[np.int64]) -> "Confusion":
        """Count the labels and answers (N,) of N texts."""
        return cls(*np.bincount(2 * labels + answered, minlength=4).tolist())

    def figures(self) -> dict[str, float]:
        """The `SCORES`, in percent; a label that never occurs and is never predicted has F1 0."""
        right = self.true_negatives + self.true_positives
        wrong = self.false_negatives + self.false_positives
        f1s = [_f1(count, wrong) for count in (self.true_negatives, self.true_positives)]
        return {
            "accuracy": 100.0 * right / (right + wrong),
            "f1": f1s[1],
            "macro_f1": (f1s[0] + f1s[1]) / 2,
        }


def score(
    raw: Path,
    predictions: Path,
    metrics: Path,
    confusion: Path,
    reliability: Path,
    *,
    seeds: list[int],
    params: ScoreParams,
) -> str:
    """Score the runs of `seeds` in `predictions`; write the metrics and the tables of both plots.

    Raises:
        RetuneError: the predictions of a seed belong to other texts or to another seed's model.
    """
    gold = read_gold(raw)
    runs = read_seeds(seed_folders(predictions, seeds), gold)
    figures = {seed: run_figures(gold, positive, params.bins) for seed, positive in runs.items()}
    by_score = {key: {s: values[key] for s, values in figures.items()} for key in figures[seeds[0]]}
    headline = {key: statistics.fmean(values.values()) for key, values in by_score.items()}
    together = ensemble_figures(gold, runs, params.bins)
    details = {
        "spread": [spread_row(key, values) for key, values in by_score.items()],
        "confusion": [
            {"seed": seed, **Confusion.of(gold.labels, answers(positive))._asdict()}
            for seed, positive in runs.items()
        ],
        "ensemble": [together],
    }
    write_json(metrics, {"sentiment": {**headline, **details}})
    _write_plots(confusion, reliability, gold, runs, params.bins)
    scores_text = ", ".join(f"{SCORES[key]} {_mean_text(by_score[key])}" for key in SCORES)
    return (
        f"{scores_text} over {len(gold.ids):,} texts and {len(seeds)} seeds; accuracy "
        f"{together['accuracy']:.2f} as an ensemble"
    )


def run_figures(gold: Gold, positive: Doubles, bins: int) -> dict[str, float]:
    """The scores of one run and its expected calibration error, in percent.

    The error is that of the probability of being positive.
    """
    error = expected_calibration_error(reliability_curve(gold.labels == 1, positive, bins))
    figures = Confusion.of(gold.labels, answers(positive)).figures()
    return {**figures, "expected_calibration_error": 100.0 * error}


def ensemble_figures(gold: Gold, runs: Mapping[int, Doubles], bins: int) -> dict[str, float]:
    """`run_figures` of the mean probability over the seeds."""
    return run_figures(gold, np.mean(list(runs.values()), axis=0), bins)


def spread_row(score: str, by_seed: Mapping[int, float]) -> dict[str, Any]:
    """A figure's spread over the seeds, with half the width of its 95 % t interval."""
    return {
        "score": score,
        **spread(by_seed),
        "half_width": interval_half_width(list(by_seed.values())),
        "by_seed": [{"seed": seed, "value": value} for seed, value in by_seed.items()],
    }


def interval_text(mean: float, half_width: float | None) -> str:
    """A mean and its interval as text."""
    return f"{mean:.2f}" if half_width is None else f"{mean:.2f} ± {half_width:.2f}"


def _mean_text(by_seed: Mapping[int, float]) -> str:
    values = list(by_seed.values())
    return interval_text(statistics.fmean(values), interval_half_width(values))


def _write_plots(
    confusion: Path, reliability: Path, gold: Gold, runs: Mapping[int, Doubles], bins: int
) -> None:
    labels = np.concatenate([gold.labels] * len(runs))
    positive = np.concatenate(list(runs.values()))
    pairs = zip(labels.tolist(), answers(positive).tolist(), strict=True)
    names = [(LABELS[label], LABELS[answer]) for label, answer in pairs]
    write_csv(confusion, ("actual", "predicted"), names)
    write_csv(reliability, _RELIABILITY, reliability_curve(labels == 1, positive, bins))


def _f1(right: int, wrong: int) -> float:
    """F1 of a label in percent, from its `right` answers and all `wrong` answers.

    With two labels, an answer that is wrong for one is wrong for the other.
    """
    return 100.0 * 2 * right / (2 * right + wrong) if right or wrong else 0.0
