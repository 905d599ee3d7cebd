"""A logistic regression that tells wrong labels from those of a data set."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from retune.core.numerics import Doubles
from retune.tasks.qa.labels.evidence import Evidence

#: A name that is there less often says nothing that holds elsewhere.
_FEWEST = 8
#: The penalty of squared weights, chosen on the bundled corpus (bench/wrong_labels.py).
_RIDGE = 10.0
_ITERATIONS = 500


@dataclass(frozen=True)
class Classifier:
    """How much more frequent some evidence is for wrong labels than for those of the data.

    Attributes:
        weights: of the numbers, and of the names after them (F,).
        intercept: so that no evidence at all gives log-odds of it.
        means: of the numbers.
        scales: what the numbers are divided by.
        names: those that have a weight, with their places among them.
    """

    weights: Doubles
    intercept: float
    means: Doubles
    scales: Doubles
    names: dict[str, int]

    def log_ratio(self, found: Sequence[Evidence]) -> Doubles:
        """Return the logarithm of how much more frequent each evidence is, shape (N,)."""
        rows = _rows(found, self.means, self.scales, self.names)
        result: Doubles = rows @ self.weights + self.intercept
        return result


def fit_classifier(labels: Sequence[Evidence], wrong: Sequence[Evidence]) -> Classifier:
    """Fit it on the evidence about labels of a data set and about wrong ones; both must be there.

    Both count the same, however many there are.
    """
    every = [*labels, *wrong]
    numbers = np.array([each.numbers for each in every], np.float64)
    spread = numbers.std(axis=0)
    means, scales = numbers.mean(axis=0), np.where(spread > 0, spread, 1.0)
    counts = Counter(name for each in every for name in each.names)
    kept = sorted(name for name, count in counts.items() if count >= _FEWEST)
    names = {name: place for place, name in enumerate(kept)}
    rows = _rows(every, means, scales, names)
    outcomes = np.repeat([0.0, 1.0], [len(labels), len(wrong)])
    shares = len(every) / (2.0 * np.where(outcomes > 0, len(wrong), len(labels)))
    weights = _ridge_regression(rows, outcomes, shares)
    return Classifier(weights[:-1], float(weights[-1]), means, scales, names)


def _rows(
    found: Sequence[Evidence], means: Doubles, scales: Doubles, names: dict[str, int]
) -> Doubles:
    """Return a row for each evidence: the scaled numbers, then 1 for each name that is there."""
    numbers = (np.array([each.numbers for each in found], np.float64) - means) / scales
    present = np.zeros((len(found), len(names)))
    for row, each in enumerate(found):
        present[row, [names[name] for name in each.names if name in names]] = 1.0
    return np.hstack([numbers, present])


def _ridge_regression(rows: Doubles, outcomes: Doubles, shares: Doubles) -> Doubles:
    """Return the weights (F + 1,) under which the outcomes are most likely, less the penalty.

    The last is the intercept, which has no penalty.
    """
    columns = torch.from_numpy(np.column_stack([rows, np.ones(len(rows))]))
    wanted, counted = torch.from_numpy(outcomes), torch.from_numpy(shares)
    weights = torch.zeros(columns.shape[1], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weights], max_iter=_ITERATIONS, tolerance_grad=1e-8, line_search_fn="strong_wolfe"
    )

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        losses = torch.nn.functional.binary_cross_entropy_with_logits(
            columns @ weights, wanted, weight=counted, reduction="sum"
        )
        total = losses + _RIDGE / 2.0 * (weights[:-1] ** 2).sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return weights.detach().numpy()
